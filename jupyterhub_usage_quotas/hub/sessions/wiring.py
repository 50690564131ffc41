"""The session log of a Hub: what of the Hub it is made of, and where its metrics are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ...config.sessions import NEEDS_LEDGER, sessions_of
from ...errors import ConfigurationError
from ...status.hub_database import servers_that_run
from ..launch.enforcement import UsageQuotaManager
from ..metrics.sessions import SessionMetrics
from ..types import HubApp
from ..users import users_of
from .book import Server
from .described import named
from .recorder import HubServers, SessionRecorder


def make_recorder(app: HubApp, manager: UsageQuotaManager) -> SessionRecorder | None:
    """The recorder of a Hub; None where there is no database to keep a log in.

    Raises `ConfigurationError` where usage is to come from it all the same.
    """
    store = sessions_of(manager.ledger)
    if store is None:
        if manager.counts_sessions:
            raise ConfigurationError([f"UsageConfig.usage_source: {NEEDS_LEDGER}"])
        return None
    return SessionRecorder(
        store,
        manager.hub_namespace,
        HubServers(partial(users_of, app), partial(_stored, app)),
        SessionMetrics(app.log),
        app.log,
        heartbeat=manager.session_heartbeat,
        kept=manager.sessions_kept,
    )


def _stored(app: HubApp) -> Mapping[Server, float | None]:
    """The servers that run as far as the Hub's database knows, and when they were launched."""
    found = {}
    for (username, server_name), since in servers_that_run(app.db).items():
        if (server := named(username, server_name)) is not None:
            found[server] = since.timestamp() if since else None
    return found
