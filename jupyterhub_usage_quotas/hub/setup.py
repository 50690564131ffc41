"""Wiring the quota system into a Hub: what `setup_usage_quotas(c)` does.

It works in two steps. While the configuration is being read, the spawn hook is put where hooks
are configured. When the Hub has read all of it, whatever came after the call is taken into
account, and the configuration is checked: an error stops the Hub before it serves anybody.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY
from traitlets import Bunch
from traitlets.config import Config

from ..config.about import INSTALL_PAGE, imported, namesakes
from ..config.checks.validation import errors_in_options, remarks
from ..config.credits.applying import apply_credits
from ..config.credits.written import Written
from ..config.exporting import ACTIVE
from ..config.files.colon_assignments import apply_annotated_settings
from ..config.ledger import default_ledger_url
from ..config.quotas import CONFIGURED, Enforcement, QuotaOptions
from ..config.sessions import SESSIONS
from ..config.usage import HUB
from ..config.viewer import errors_in_viewer
from ..conventions import __version__
from ..errors import ConfigurationError, all_errors
from ..ledger.audit import AuditedJournal
from ..ledger.sql.cached import CachedLedger, keeping
from ..ledger.sql.switches import SwitchTable
from ..quotas.messages import shown
from ..quotas.policy.errors import InvalidPolicies
from ..status.snapshot import StatusSnapshot
from ..status.users import UserStatuses
from .api.access import declare_service, give_scopes
from .api.answers import Answers
from .api.switching import Switches
from .cost_service import declare_cost_monitor
from .credits.starting import require_database, serve_credits, start_credits
from .guard.making import make_guard, prepare_guard, start_notices
from .launch.denial import NotAFailure, NoTraceback
from .launch.enforcement import UsageQuotaManager
from .launch.spawn_hook import quota_hook, wrapped_by_us
from .ledger import database_of, open_ledger
from .metrics import own as metrics
from .metrics.earlier import EarlierCounters, EarlierGauges
from .metrics.exported import Exported
from .metrics.servers import ServerExporter
from .metrics.usage import UsageGauges
from .pages.pages import VARIABLE, HubPages
from .pages.templates_overlay import add_layer
from .refresh import make_refresh_loop, start
from .renaming import Renaming
from .sessions.wiring import make_recorder
from .types import HubApp, HubSpawner
from .viewer_service import GrantedAsMeant, declare_viewer, environment_of, is_viewer

CONFIG_READ = "session_factory"
"""The trait of the Hub that is set first after its configuration was read, in JupyterHub 5 and 6
(it opens the database then)."""


def setup_usage_quotas(c: Config) -> None:
    """Enforce usage quotas on a JupyterHub: call it in `jupyterhub_config.py`.

    `c` is the configuration object. The hook that an admin set still runs, whether it was set
    before or after this call, on `Spawner` or on the configured spawner class. Calling it again
    does nothing.
    """
    app = _hub_being_configured()
    if app is None:
        if not any(wrapped_by_us(section.get("pre_spawn_hook")) for section in _sections(c)):
            _Installation().put_hooks(c)
        return
    _installation_in(app).wanted = True
    _installations[app].put_hooks(c)


def install_for_credits() -> None:
    """The same without a call, if the authenticator turns out to have credits; does nothing outside
    of a Hub that is being configured.
    """
    if (app := _hub_being_configured()) is not None:
        _installation_in(app)


def _installation_in(app: HubApp) -> _Installation:
    if app not in _installations:
        _installations[app] = _Installation()
        app.observe(_config_was_read, names=[CONFIG_READ])
    return _installations[app]


class _Installation:
    """The one manager of a Hub, made when it is first needed."""

    def __init__(self) -> None:
        self._manager: UsageQuotaManager | None = None
        self.wanted = False
        """Whether `setup_usage_quotas` was called."""

    def manager(self, parent: HubApp | HubSpawner) -> UsageQuotaManager:
        """The manager; `parent` is what it takes its configuration from the first time."""
        if self._manager is None:
            self._manager = UsageQuotaManager(parent=parent, config=parent.config)
        return self._manager

    async def check_launch(self, spawner: HubSpawner) -> None:
        """Deny the launch of a spawner, or let it pass."""
        await self.manager(spawner).pre_spawn_start(spawner.user, spawner)

    def put_hooks(self, c: Config) -> None:
        """Put our hook in every section that has one, and on `Spawner`, keeping what is there."""
        check: Callable[[HubSpawner], Awaitable[None]] = self.check_launch
        for section in _sections(c):
            if not wrapped_by_us(section.get("pre_spawn_hook")):
                section["pre_spawn_hook"] = quota_hook(section.get("pre_spawn_hook"), check)


_installations: WeakKeyDictionary[HubApp, _Installation] = WeakKeyDictionary()
"""By Hub, so that calling `setup_usage_quotas` twice installs once."""


def _sections(c: Config) -> list[Config]:
    """The sections of a configuration in which a spawn hook is, or has to be."""
    others = [
        section
        for name, section in c.items()
        if name != "Spawner" and isinstance(section, Config) and "pre_spawn_hook" in section
    ]
    return [c.Spawner, *others]


def _hub_being_configured() -> HubApp | None:
    """The JupyterHub application that is reading this configuration; None outside of one."""
    module = sys.modules.get("jupyterhub.app")
    if module is None or not module.JupyterHub.initialized():
        return None
    app: HubApp = module.JupyterHub.instance()
    return app if getattr(app, CONFIG_READ, None) is None else None


def _config_was_read(change: Bunch) -> None:
    """Finish the installation with the whole configuration, or stop the Hub."""
    app: HubApp = change.owner
    app.unobserve(_config_was_read, names=[CONFIG_READ])
    installation = _installations[app]
    try:
        written = apply_credits(app.authenticator_class, app.spawner_class, app.config)
        if written is None and not installation.wanted:
            return
        for line in apply_annotated_settings(app.config, app.config_file):
            app.log.warning(line)
        if usual := default_ledger_url(app.config, in_hub=True):
            app.config.UsageConfig.ledger_url = usual
        with all_errors(_errors_beside(app)):
            manager = installation.manager(app)
        require_database(written, manager.ledger, manager.policy_functions)
        open_ledger(manager.ledger, app.log)
        if manager.enforcement is not Enforcement.off:
            manager.recorder = make_recorder(app, manager)
        of_viewer = declare_viewer(app, manager)
        of_viewer += declare_cost_monitor(app, manager, environment_of)
        prepare_guard(app, manager)
        give_scopes(app)
        declare_service(app)
    except ConfigurationError as error:
        app.log.critical("%s", error)
        app.exit(1)
    installation.put_hooks(app.config)
    for line in [*remarks(app.config, CONFIGURED), *manager.doubts(), *of_viewer]:
        app.log.warning(line)
    app.log.addFilter(NoTraceback())
    app.log.addFilter(GrantedAsMeant())
    logging.getLogger("asyncio").addFilter(NotAFailure())
    add_layer(app)
    app.template_vars = dict(app.template_vars) | {VARIABLE: None}
    if manager.usage_source in (HUB, SESSIONS):
        REGISTRY.register(ServerExporter(lambda: app.users, manager.hub_namespace))
    if manager.enforcement is not Enforcement.off:
        _start_all(app, manager, written)
    _say_which_version(app, manager)
    _log_summary(app, manager)


def _start_all(app: HubApp, manager: UsageQuotaManager, written: Written | None) -> None:
    """Start what runs beside the Hub, and show what comes of it."""
    snapshot = StatusSnapshot(manager.policies, manager.meter, manager.ledger)
    _export_usage(manager, snapshot)
    statuses = _statuses(manager, snapshot)
    guard = make_guard(app, manager, snapshot, start_notices(app, manager, statuses))
    watching = [guard] if guard else []
    if manager.recorder:
        # Where usage comes from Prometheus, servers in flight are what that has not seen yet.
        manager.pending.seen = manager.recorder if manager.counts_sessions else None
        start(manager.recorder.keep, "session log")
    loop = make_refresh_loop(app, manager, manager.meter, snapshot, watching)
    start_credits(app, manager, written, loop)
    start(loop.run, "refresh")
    for keep in keeping(manager.ledger):
        start(keep, "ledger")
    _follow_renamings(app, manager)
    _show_on_pages(app, manager, statuses)
    _answer_by_api(app, manager, statuses)
    serve_credits(manager, statuses, loop)


def _follow_renamings(app: HubApp, manager: UsageQuotaManager) -> None:
    """Let users who are renamed keep what was decided about them."""
    if not isinstance(manager.ledger, CachedLedger):
        return
    # The Hub's database models.
    from jupyterhub.orm import User  # noqa: PLC0415

    audit_log = manager.make_audit_log("hub", app.log.info, app.log.error)
    renaming = Renaming(app, AuditedJournal(manager.ledger, audit_log, manager.policies))
    renaming.listen(User)
    start(renaming.keep, "renamings")


def _errors_beside(app: HubApp) -> Iterator[str]:
    """The errors in everything of ours but the manager's options: the dashboard's, and how the
    spawner goes with those of the manager's that are right.
    """
    yield from errors_in_viewer(app.config)
    options = QuotaOptions()
    # This sets those that are right; what it finds of the others the manager finds, too.
    list(errors_in_options(app.config, CONFIGURED, options))
    spawner_class = app.spawner_class
    for check in (
        partial(require_hook, spawner_class),
        partial(require_profiles, spawner_class, options),
    ):
        try:
            check()
        except ConfigurationError as error:
            yield from error.errors
        except InvalidPolicies:
            # The manager names them.
            continue


def require_hook(spawner_class: type[HubSpawner]) -> None:
    """Refuse a spawner class on which a configured hook would have no effect."""
    if "pre_spawn_hook" not in spawner_class.class_trait_names(config=True):
        raise ConfigurationError(
            [
                f"{spawner_class.__name__} overrides the pre_spawn_hook trait with a method, so"
                " usage quotas could not be enforced: rename the method and set it as"
                f" c.{spawner_class.__name__}.pre_spawn_hook"
            ]
        )


def require_profiles(spawner_class: type[HubSpawner], options: QuotaOptions) -> None:
    """Refuse policies that select servers by profile where nothing says what that is: what users
    write in their options is not to decide which quota is theirs.
    """
    by_profile = (one.name for one in options.policies if one.servers.by_profile)
    selecting = [name for name in by_profile if name not in options.by_what_pays]
    listed = "profile_list" in spawner_class.class_trait_names(config=True)
    if selecting and not listed and options.profile_of_server is None:
        raise ConfigurationError(
            [
                f"policy {shown(selecting[0])} selects servers by profile, and"
                f" {spawner_class.__name__} has no profile_list: set"
                " c.UsageQuotaManager.profile_of_server to a function that is called with the"
                " spawner and returns the profile's name"
            ]
        )


def _statuses(manager: UsageQuotaManager, snapshot: StatusSnapshot) -> UserStatuses:
    """Where users stand, by what is in memory."""
    return UserStatuses(
        manager.policies,
        manager.meter,
        manager.ledger,
        enforced=manager.enforcement is Enforcement.enforce,
        pools=lambda: snapshot.pools,
    )


def _show_on_pages(app: HubApp, manager: UsageQuotaManager, statuses: UserStatuses) -> None:
    """Tell the Hub's templates what users have left."""
    viewer = next((str(spec["name"]) for spec in app.services if is_viewer(spec)), "")
    pages = HubPages(statuses, manager, manager.pending, viewer, app.log, manager.running)
    app.template_vars = dict(app.template_vars) | {VARIABLE: pages.of}


def _answer_by_api(app: HubApp, manager: UsageQuotaManager, statuses: UserStatuses) -> None:
    """Answer users' servers, for example JupyterLab's, where their users stand, and start them
    again with other profiles.
    """
    # JupyterHub's handlers, which need its database models.
    from .api.own_servers import OwnServers  # noqa: PLC0415
    from .api.serving import serve  # noqa: PLC0415

    database = database_of(manager.ledger)
    table = SwitchTable(database) if database else None
    switches = Switches(OwnServers(app), table, app.log)
    answers = Answers(statuses, manager, manager.pending, switches, manager.running)
    serve(manager, answers, switches)
    start(switches.resume, "switches")


def _export_usage(manager: UsageQuotaManager, snapshot: StatusSnapshot) -> None:
    """Show on the Hub's metrics endpoint where everybody stands."""
    namespace, earlier = manager.hub_namespace, manager.earlier_metrics
    exported = Exported(snapshot, namespace, everybody=manager.export_usage != ACTIVE)
    REGISTRY.register(exported)
    REGISTRY.register(UsageGauges(exported.rows, manager.policies, namespace, by_group=not earlier))
    if earlier:
        REGISTRY.register(EarlierGauges(exported.rows, namespace))
        counters = EarlierCounters(REGISTRY, namespace)
        manager.observers.append(counters)
        manager.on_request.append(counters.requested)


def _say_which_version(app: HubApp, manager: UsageQuotaManager) -> None:
    """Name what is imported, in the log and for Prometheus: there is another of this name."""
    app.log.info("%s", imported())
    for line in namesakes():
        cure = f"uninstall both and install one: docs/{INSTALL_PAGE}.md"
        app.log.warning("%s; %s", line, cure)
    metrics.build.info({"version": __version__, "documentation_url": manager.documentation_url})


def _log_summary(app: HubApp, manager: UsageQuotaManager) -> None:
    count = len(list(manager.policies))
    app.log.info(
        "Usage quotas: %d %s, usage from %s, %s, %s",
        count,
        "policy" if count == 1 else "policies",
        manager.source_name,
        f"enforcement: {manager.enforcement.value}",
        f"when usage is not known launches are {'allowed' if manager.failover_open else 'denied'}",
    )
    if manager.usage_source not in (HUB, SESSIONS) and not manager.hub_namespace:
        app.log.warning(
            "UsageConfig.hub_namespace is not set: pods of all namespaces are counted; set it if"
            " several Hubs use this Prometheus, or users with the same name share their usage"
        )
