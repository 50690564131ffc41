"""The application of the Usage Quota Dashboard: its parts, and the addresses of its handlers.

A service of JupyterHub, run by the Hub or by itself. How services are served is in `..web`.
"""

from __future__ import annotations

import logging
import os
import ssl
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from jupyterhub.utils import url_path_join

from ... import conventions
from ...config.quotas import Enforcement
from ...config.sessions import sessions_of
from ...config.viewer import UsageViewer
from ...errors import ConfigurationError
from ...ledger.sql.cached import keeping
from ...metering.events import NoEvents, Refresh
from ...metering.meter import Meter
from ...status.everyone import EveryoneStatuses
from ..web.assets import AssetHandler, Assets
from ..web.early_port import EarlyPort, listening_address
from ..web.environment import ServiceEnvironment
from ..web.hub_api import HubClient
from ..web.json_handler import NoJson
from ..web.page_handler import Callback, NoPage
from ..web.rendering import Link, Renderer
from ..web.sanitise import sanitised
from ..web.serving import (
    WRONG_CONFIGURATION,
    Service,
    make_application,
    run,
    set_up_logging,
)
from .api import adjustments as decisions
from .api import handlers as api
from .arguments import command_line
from .configuration import Configured, read_configuration
from .context import ViewerContext
from .costing import ShownCosts
from .own_metrics import ServiceErrors
from .pages import handlers as pages
from .pages.admin import handlers as admin
from .pages.admin.budgets import BudgetsPage
from .pages.admin.history import GivenPage
from .pages.admin.several import GiveSeveralPage
from .pages.admin.simulate import SimulatePage
from .pages.api_page import ApiPage
from .pages.costs import CostsPage
from .trying import Trying

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
ASSETS = ("usage-quota.js", "usage-quota.css")
LOG = logging.getLogger("usage_viewer")


def make_viewer_service(
    configured: Configured,
    around: ServiceEnvironment,
    meter: Meter | None = None,
    *,
    meter_of_past: Meter | None = None,
) -> Service:
    """The viewer, ready to be served. The meters are as configured, if none are given."""
    viewer, manager = configured.viewer, configured.manager
    hub = HubClient(around.api_url, around.api_token, tls=around.tls(ssl.Purpose.SERVER_AUTH))
    sessions = sessions_of(configured.ledger)
    trying = Trying(
        lambda: meter_of_past or viewer.make_meter(sessions=sessions), configured.ledger
    )
    meter = meter or viewer.make_meter(_RefreshLog(), sessions=sessions)
    shown = manager.policies if viewer.enable_compute else manager.policies.of_gauges()
    statuses = EveryoneStatuses(
        shown,
        meter,
        hub,
        configured.ledger,
        enforced=manager.enforcement is Enforcement.enforce,
    )
    renderer = _renderer(viewer, around)
    errors, granters = ServiceErrors(viewer.hub_namespace), manager.granters
    costs = ShownCosts(configured.costs) if configured.costs else None
    context = ViewerContext(
        around.oauth(), hub, LOG, granters, renderer, configured, statuses, trying, errors, costs
    )
    answers = routes(around.prefix, context)
    if not (viewer.enable_compute or viewer.home_storage):
        answers = answers[-1:]  # nothing is shown, only what error pages are made of
    application = make_application(
        answers,
        session_secret=viewer.session_secret,
        default_handler_class=NoPage,
        default_handler_args={"context": context},
    )
    closing = [trying.aclose, meter.aclose, hub.aclose, configured.ledger.aclose]
    running = [statuses.keep, *keeping(configured.ledger)]
    if costs:
        running.append(costs.keep)
        closing.append(costs.aclose)
    return Service(application, running, closing)


def _renderer(viewer: UsageViewer, around: ServiceEnvironment) -> Renderer:
    """What renders pages, with an admin's templates and variables."""
    return Renderer(
        TEMPLATES,
        Assets.found(STATIC, ASSETS),
        template_paths=viewer.template_paths,
        variables={"usage_quota_footer_note": sanitised(viewer.footer_note)} | viewer.template_vars,
        hub_prefix=around.hub_prefix,
        hub_host=around.hub_host,
        base_url=around.prefix,
        menu=[Link.of(one) for one in viewer.services_menu],
        language=viewer.texts,
    )


class _RefreshLog(NoEvents):
    """Logs where usage is from, and why it could not be brought up to date, each time that the
    reason changes.
    """

    def __init__(self) -> None:
        self._reason = ""

    def refreshed(self, refresh: Refresh) -> None:
        """See `MeterEvents.refreshed`."""
        why = refresh.failure
        if why and (refresh.bug or (refresh.over_time and why.reason != self._reason)):
            LOG.warning("Usage is not known: %s: %s", why.reason, why.detail, exc_info=refresh.bug)
        if refresh.over_time:
            self._reason = why.reason if why else ""

    def followed(self, written: datetime) -> None:
        """See `MeterEvents.followed`."""
        LOG.info(
            "Usage is what the Hub cached %s UTC, and caches every few minutes; Prometheus is not"
            " queried for it",
            f"{written:%Y-%m-%d %H:%M}",
        )

    def not_restored(self, why: str) -> None:
        """See `MeterEvents.not_restored`."""
        LOG.warning("The usage that the Hub cached is not used: %s; Prometheus is queried", why)


def configured_environment(around: ServiceEnvironment, viewer: UsageViewer) -> ServiceEnvironment:
    """The service's environment: as configured, else as the Hub set it."""
    prefix = viewer.service_prefix or around.prefix
    return replace(
        around,
        prefix=url_path_join("/", prefix, "/"),
        own_interface=viewer.service_host,
        own_port=viewer.service_port,
    )


def routes(prefix: str, context: ViewerContext) -> list[tuple[Any, ...]]:
    """Which handler answers where."""
    name, number = "([^/]+)", "([1-9][0-9]{0,14})"
    given = {"context": context}
    paths: list[tuple[str, Any]] = [
        ("", pages.OwnPage),
        ("oauth_callback", Callback),
        ("metrics", pages.Metrics),
        ("users/?", pages.UsersPage),
        ("costs/?", CostsPage),
        (f"users/{name}", pages.UserPage),
        (f"users/{name}/given", GivenPage),
        ("admin/?", admin.AdminPage),
        ("admin/budgets/?", BudgetsPage),
        ("admin/give", GiveSeveralPage),
        ("admin/simulate/?", SimulatePage),
        (f"admin/users/{name}", admin.GivePage),
        ("api/v1/?", ApiPage),
        ("api/v1/openapi.json", api.OpenApi),
        ("api/v1/me", api.Me),
        ("api/v1/policies", api.Policies),
        ("api/v1/users", api.Users),
        (f"api/v1/users/{name}", api.User),
        (f"api/v1/users/{name}/usage", api.UsageOverTime),
        (f"api/v1/users/{name}/sessions", api.Sessions),
        (f"api/v1/users/{name}/forecast", api.Forecast),
        (f"api/v1/users/{name}/adjustments", decisions.UserAdjustments),
        ("api/v1/adjustments", decisions.Adjustments),
        (f"api/v1/adjustments/{number}", decisions.OneAdjustment),
        (f"api/v1/adjustments/{number}/void", decisions.VoidAdjustment),
        ("api/.*", NoJson),
    ]
    static = (f"{prefix}static/(.*)", AssetHandler, {"path": str(STATIC)})
    return [*((prefix + path, handler, given) for path, handler in paths), static]


def main(arguments: Sequence[str] | None = None, early: EarlyPort | None = None) -> int:
    """Run the service, on the port that was opened before, if one was; returns the exit code."""
    set_up_logging()
    try:
        files, options = command_line(arguments)
        configured = read_configuration(os.environ, files, options)
        around = ServiceEnvironment.of(os.environ, conventions.VIEWER_SERVICE)
        around = configured_environment(around, configured.viewer)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_CONFIGURATION
    for line in configured.remarks:
        LOG.warning(line)
    if missing := Assets.found(STATIC, ASSETS).missing:
        LOG.warning("Pages are plain: %s was not built (make static)", " and ".join(missing))
    if early and not _is_at(around.listen_on, listening_address(around.url)):
        early.close()
        early = None
    return run(lambda: make_viewer_service(configured, around), around, LOG, early)


def _is_at(configured: tuple[str, int], opened: tuple[str, int]) -> bool:
    """Whether a service listens where its port was opened before its configuration was read."""
    all_interfaces = ("", "0.0.0.0", "::")  # noqa: S104 they are compared
    same = configured[0] == opened[0] or {configured[0], opened[0]} <= {*all_interfaces}
    return same and configured[1] == opened[1]
