"""Daily usage from the session log: a Hub without Prometheus has a bill, too."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from jupyterhub_usage_quotas.costs.rolling import Reading, UsageRolling
from jupyterhub_usage_quotas.costs.usage_store import UsageStore
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.sessions import SessionChanges, SqlSessions
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from jupyterhub_usage_quotas.metering.sources.session_log import SessionLog
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from jupyterhub_usage_quotas.quotas.sessions import Session, Watch

DAY = date(2026, 10, 7)
MIDNIGHT = datetime(2026, 10, 7, tzinfo=UTC).timestamp()
NOW = datetime(2026, 10, 8, 2, 30, tzinfo=UTC)
HOUR, GIB = 3600, 2**30


def session(number, user, start, end, **rates) -> Session:
    begin, until = (MIDNIGHT + one * HOUR for one in (start, end))
    ran = {"id": f"{number:032}", "hub": "", "username": user, "server_name": ""}
    return Session(
        **ran, started=begin, seen=until, ended=until, rates={**rates, "time": 1.0}, profile="large"
    )


async def test_what_sessions_used_on_a_day_of_which_the_hub_saw_all_or_some(tmp_path):
    database = Database(parse_ledger_url(f"sqlite:///{tmp_path / 'hub.sqlite'}"), upgrade=True)
    store, log = UsageStore(database), SqlSessions(database)
    # Of the day before it saw the last six hours.
    watch = Watch("w" * 32, "", MIDNIGHT - 6 * HOUR, NOW.timestamp())
    sessions = [
        session(1, "ada", -5, 2, memory=4.0 * GIB, cpu=0.5, cost=0.25 / HOUR, credits=1.0),
        session(2, "bob", 20, 30, gpu=2.0),
    ]
    await log.write(SessionChanges(watch, sessions))
    reading = Reading(
        lambda namespace: SessionLog(namespace, log),
        (),
        {name: one for name, one in RESOURCES.items() if not one.bought},
        timedelta(minutes=10),
        timedelta(minutes=5),
        "",
        "",
    )
    rolling = UsageRolling(
        store, None, reading, {"campus": ""}, reach=timedelta(days=9), clock=lambda: NOW
    )
    assert await rolling.roll() == 2
    assert rolling.problem == ""
    await rolling.note_groups()
    used = await store.usage(DAY - timedelta(days=3), DAY + timedelta(days=1))
    assert used.keys() == {DAY - timedelta(days=1), DAY}
    # Worked out by hand: two hours of ada's, four of bob's; what is bought is no usage.
    assert used[DAY].used["campus"] == {
        "ada": {"memory": 2 * HOUR * 4096, "cpu": HOUR * 1000, "time": 2 * HOUR * 1000},
        "bob": {"gpu": 4 * HOUR * 2000, "time": 4 * HOUR * 1000},
    }
    days = await store.days(DAY - timedelta(days=1), DAY + timedelta(days=1))
    assert days[DAY, "campus"].coverage == 1.0
    assert days[DAY - timedelta(days=1), "campus"].coverage == 0.25
    await rolling.aclose()
    await database.aclose()
