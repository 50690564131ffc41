"""Declaring the viewer to the Hub: the service, its roles and scopes, and its configuration.

Done when the Hub has read its whole configuration. What the admin declared stays as it is; only
what is missing is added, on copies, so that the configuration itself is never changed.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import socket
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .. import conventions as names
from ..config.usage import UsageConfig
from ..config.viewer import UsageViewer, make_viewer, viewer_remarks
from ..errors import ConfigurationError
from ..ledger.base import NO_LEDGER, Ledger
from .cost_service import costs_of
from .launch.enforcement import UsageQuotaManager
from .navigation import services_menu
from .roles import give_servers, give_users, with_scopes
from .types import HubApp

LONGEST_VARIABLE = 100_000
"""In characters; one variable of the environment cannot hold more than 128 KiB."""
NOT_REACHABLE = (
    "The Usage Quota Dashboard is not started: this Hub's proxy runs elsewhere and could not reach"
    " it. Declare the service, or set UsageViewer.url to where the proxy reaches this machine,"
    " for example http://hub:9000, with the port open"
)

Spec = dict[str, Any]

NEEDED_SCOPES = frozenset({"list:users", "read:users:name", "read:users:groups"})
"""With these the viewer lists users and their groups."""
SCOPE_FOR_A_LEDGER = "read:users"
"""With this it also reads when users were created: the next user of the same name inherits no
adjustments.
"""

HANDED_OVER_RULES = (
    *("policy", "failover_open", "contact", "show_in_header", "earlier_metrics"),
    *("may_grant", "grant_limits"),
)
LEDGER_NOT_SHARED = (
    "The Usage Quota Dashboard cannot read the ledger: UsageQuotaManager.ledger_factory cannot be"
    " imported by another process; put it in a module, and set its name"
)


def declare_viewer(app: HubApp, manager: UsageQuotaManager) -> list[str]:
    """Make the viewer a service of the Hub `app`; returns lines for the admin.

    Raises `ConfigurationError` with the errors of the viewer's options.
    """
    viewer = make_viewer(app.config)
    lines = viewer_remarks(app.config)
    if not viewer.enabled:
        return lines
    services = [copy.copy(dict(spec)) for spec in app.services]
    ours = next((spec for spec in services if is_viewer(spec)), None)
    declared_by_admin = ours is not None
    if ours is None and not viewer.url and _proxy_is_elsewhere(app.config):
        # Nobody could open it, and JupyterHub stops if it cannot reach a service that it runs.
        return [*lines, NOT_REACHABLE]
    if ours is None:
        ours = {
            "name": names.VIEWER_SERVICE,
            "url": viewer.url or _free_url(),
            "command": [sys.executable, "-m", names.VIEWER_MODULE],
            "oauth_no_confirm": True,
        }
        services.append(ours)
    if not ours.get("oauth_roles"):
        allowed = list(ours.get("oauth_client_allowed_scopes") or [])
        ours["oauth_client_allowed_scopes"] = with_scopes(allowed, *SCOPES)
    app.services = services
    app.custom_scopes = SCOPES | dict(app.custom_scopes)
    needed = needed_scopes(manager.ledger)
    _give_roles(app, str(ours["name"]), needed, declared_by_admin=declared_by_admin)
    if ours.get("command"):
        handed = environment_of(hand_over(app, manager, viewer))
        handed[names.ENV_HUB_PID] = str(os.getpid())
        ours["environment"] = handed | dict(ours.get("environment") or {})
        shared = manager.importable_ledger_factory or manager.ledger_url
        if manager.ledger is not NO_LEDGER and not shared:
            lines = [*lines, LEDGER_NOT_SHARED]
    return lines


SCOPES = {
    names.SCOPE_READ: {"description": "See usage and usage quotas."},
    names.SCOPE_GRANT: {"description": "Give users more than their usage quotas."},
}
"""The scopes that the viewer adds to the Hub's. A browser's session has what its user has of them.
"""


def needed_scopes(ledger: Ledger) -> frozenset[str]:
    """The scopes that the viewer needs of the Hub's, with this ledger."""
    return NEEDED_SCOPES if ledger is NO_LEDGER else NEEDED_SCOPES | {SCOPE_FOR_A_LEDGER}


class GrantedAsMeant(logging.Filter):
    """Drops JupyterHub's warning that a user who opens the viewer is granted less than that
    requests: it requests to see everybody's usage, and each user is granted what they have of it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is another one."""
        if record.levelno != logging.WARNING:
            return True
        requested, _, granted = record.getMessage().partition(" granting only ")
        return names.SCOPE_READ not in requested or f"{names.SCOPE_READ}!" not in granted


def is_viewer(spec: Mapping[str, Any]) -> bool:
    """Whether a service is the viewer: by its name, or by what it runs."""
    command = spec.get("command") or []
    parts = [command] if isinstance(command, str) else [str(part) for part in command]
    return spec.get("name") == names.VIEWER_SERVICE or any(
        names.VIEWER_MODULE in part for part in parts
    )


def hand_over(app: HubApp, manager: UsageQuotaManager, viewer: UsageViewer) -> dict[str, Any]:
    """The configuration that the viewer gets from the Hub, by section."""
    shared = UsageConfig.class_trait_names(config=True)
    section = viewer.config.get(UsageViewer.__name__, {})
    own = [
        name
        for name in UsageViewer.class_trait_names(config=True)
        if name in section or name not in shared
    ]
    hubs = app._template_paths_default()[0]
    paths = [str(path) for path in app.template_paths if path != hubs]
    usual = {
        "template_paths": paths,
        "template_vars": {
            name: value for name, value in app.template_vars.items() if _is_plain(value)
        },
        "services_menu": services_menu(app),
    }
    return {
        "UsageConfig": {name: getattr(manager, name) for name in shared},
        **costs_of(app.config),
        "UsageQuotaManager": {
            **{name: getattr(manager, name) for name in HANDED_OVER_RULES},
            "weekly_budgets": manager.weekly_budgets_in_full,
            "credits": manager.credits,
            "scope_backup_strategy": manager.scope_backup_strategy,
            "enforcement": manager.enforcement.value,
            "ledger_factory": manager.importable_ledger_factory or None,
        },
        "UsageViewer": {
            name: getattr(viewer, name) if name in section or name not in usual else usual[name]
            for name in own
        },
    }


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


class HandedOver(dict[str, Any]):
    """A value of a service's environment that is only made when the service is started.

    There are secrets in it. JupyterHub writes the environment of a service into its database; of
    this it finds an empty mapping. When it starts the service it calls values that can be called.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def __call__(self, _spawner: object) -> str:
        """The value."""
        return self._text


def environment_of(sections: Mapping[str, Any]) -> dict[str, Any]:
    """The environment variables that hand over these sections of a configuration."""
    try:
        text = json.dumps(sections, default=_as_list)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            [f"UsageViewer: the configuration cannot be passed to the service: {error}"]
        ) from error
    parts = [text[at : at + LONGEST_VARIABLE] for at in range(0, len(text), LONGEST_VARIABLE)]
    return {
        f"{names.ENV_HANDED_OVER}_{number}": HandedOver(part) for number, part in enumerate(parts)
    }


def _as_list(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a value of JSON")


def _proxy_is_elsewhere(config: Mapping[str, Any]) -> bool:
    """Whether somebody else starts the proxy: in Zero to JupyterHub it is a pod of its own."""
    return any(
        section.get("should_start", True) is False
        for name, section in config.items()
        if name.endswith("Proxy")
    )


def _free_url() -> str:
    # Not https, even where the Hub's parts use TLS among themselves: JupyterHub 6.1 then cannot
    # connect to a service that it runs, and stops.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def _give_roles(
    app: HubApp, service: str, needed: Collection[str], *, declared_by_admin: bool
) -> None:
    roles = [copy.copy(dict(role)) for role in app.load_roles]
    own = [f"{names.SCOPE_READ}!user"]
    access = f"access:services!service={service}"
    # If the admin declared the service and its access, that stays as it is.
    if not (declared_by_admin and _mentions(roles, (access, "access:services"))):
        own.append(access)
    by_name = {role.get("name"): role for role in roles}
    if names.VIEWER_ROLE not in by_name:
        roles.append(
            {
                "name": names.VIEWER_ROLE,
                "description": "List users and their groups, to show their usage quotas",
                "scopes": sorted(needed),
                "services": [service],
            }
        )
    app.load_roles = roles
    give_users(app, *own)
    give_servers(app, *own)


def _mentions(roles: Sequence[Spec], scopes: Sequence[str]) -> bool:
    return any(scope in (role.get("scopes") or ()) for role in roles for scope in scopes)
