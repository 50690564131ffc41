"""The options about the session log: what the Hub itself records of its servers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

from traitlets.config import LoggingConfigurable

from ..errors import ConfigurationError
from ..ledger.base import Ledger
from ..ledger.sql.cached import CachedLedger
from ..ledger.sql.database import Database
from ..ledger.sql.sessions import SqlSessions
from ..ledger.sql.url import parse_ledger_url
from ..metering.sources.session_log import HEARTBEAT, SessionLog, SessionRecords
from ..quotas.messages import wrong
from .checks.urls import problem_of_prometheus
from .prometheus import URL
from .traits import Seconds

SESSIONS: Final = "sessions"
"""The usage source that is the session log."""
DAY: Final = 86400
NEEDS_LEDGER: Final = (
    "the session log is kept in the ledger's database, and there is none: set"
    " UsageConfig.ledger_url to the URL of one, and leave out ledger_factory"
)


def sessions_of(ledger: Ledger) -> SqlSessions | None:
    """The sessions in the database of a ledger in SQL; None of another ledger."""
    return SqlSessions(ledger.journal.database) if isinstance(ledger, CachedLedger) else None


class SessionOptions(LoggingConfigurable):
    """The part of `UsageConfig` about the session log."""

    session_heartbeat = Seconds(
        HEARTBEAT,
        low=1,
        high=600,
        help="""
        How often, in seconds, the Hub writes into the session log that its servers still run. So
        much is lost at most of what ran when the Hub, or its machine, is killed.
        """,
    ).tag(config=True)

    sessions_kept = Seconds(
        400.0 * DAY,
        low=DAY,
        high=36600 * DAY,
        help="""
        How long, in seconds, the session log is kept, for example `400 * 86400`. It must be at
        least as long as the longest window of a policy where usage comes from the session log.
        """,
    ).tag(config=True)

    @property
    def counts_sessions(self) -> bool:
        """Whether usage comes from the session log."""
        return getattr(self, "usage_source", "") == SESSIONS

    @property
    def has_prometheus(self) -> bool:
        """Whether there is a Prometheus to query."""
        return bool(getattr(self, URL, ""))

    def make_sessions(self) -> SqlSessions:
        """The sessions in the configured database, for a process that has no connection to it yet;
        raises `ConfigurationError` where there is none.
        """
        url = str(getattr(self, "ledger_url", ""))
        if not url:
            raise ConfigurationError([f"UsageConfig.usage_source: {NEEDS_LEDGER}"])
        return SqlSessions(Database(parse_ledger_url(url)))

    def make_session_logs(self, records: SessionRecords | None = None) -> list[SessionLog]:
        """The session log as a source of usage, in its `records`, where this process has them; none
        where usage comes from elsewhere.
        """
        if not self.counts_sessions:
            return []
        hub, fixed = getattr(self, "hub_namespace", ""), getattr(self, "fixed_prices", {})
        return [SessionLog(hub, records or self.make_sessions(), fixed)]

    def errors_in_reach(self, reach: timedelta) -> list[str]:
        """A line where the log is not kept for as long as policies look back."""
        if not self.counts_sessions or self.sessions_kept >= reach.total_seconds():
            return []
        what = "UsageConfig.sessions_kept: is shorter than the longest window of a policy"
        return [wrong(what, self.sessions_kept, f"at least {reach.total_seconds():g}")]

    def errors_in_sessions(self, refused: Collection[str]) -> list[str]:
        """A line for every error that no option about the session log has alone."""
        errors = []
        if not {URL, "usage_source"} & set(refused) and not self.has_prometheus:
            source: Any = getattr(self, "usage_source", "")
            if not self.counts_sessions:
                errors.append(
                    f"{URL}: {problem_of_prometheus('')}; usage_source {source!r} needs it"
                )
            elif "resources" not in refused and (defined := list(getattr(self, "resources", {}))):
                expected = f"the URL of the Prometheus that has the resource {defined[0]!r}"
                errors.append(wrong(URL, "", expected))
        times = {"stale_after", "session_heartbeat"}
        if times.isdisjoint(refused) and self.counts_sessions:
            stale_after = getattr(self, "stale_after", 0.0)
            if stale_after < 2 * self.session_heartbeat:
                what = "stale_after does not go with session_heartbeat"
                expected = f"at least {2 * self.session_heartbeat:g}, twice as long"
                errors.append(wrong(what, stale_after, expected))
        return errors
