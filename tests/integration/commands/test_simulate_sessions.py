"""Policies tried on what the Hub itself has recorded: no Prometheus is needed."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from jupyterhub import orm

from jupyterhub_usage_quotas.ledger.sql.sessions import SessionChanges, SqlSessions
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.quotas.sessions import Session, Watch
from tests.support.forked import run_command

HOUR = 3600.0


async def write(url: str, now: float) -> None:
    """Ada ran a server for four hours and, six hours later, for two; the Hub watched all along."""
    ledger = SqlLedger.at(url, upgrade=True)
    await ledger.verify()

    def ran(number: str, start: float, end: float) -> Session:
        begin, until = now - start * HOUR, now - end * HOUR
        return Session(number * 32, "", "ada", "", begin, until, until)

    watch = Watch("w" * 32, "", now - 48 * HOUR, now)
    sessions = [ran("a", 30, 26), ran("b", 20, 18)]
    await SqlSessions(ledger.database).write(SessionChanges(watch, sessions))
    await ledger.aclose()


def test_against_the_session_log(tmp_path: Path):
    now = time.time() // 60 * 60
    url, hub = (f"sqlite:///{tmp_path / name}.sqlite" for name in ("ledger", "hub"))
    db = orm.new_session_factory(hub)()
    db.add(orm.User(name="ada"))
    db.commit()
    db.close()
    asyncio.run(write(url, now))
    config = tmp_path / "jupyterhub_config.py"
    policy = {"name": "day", "resource": "time", "limit": "3 hours", "window": 1}
    config.write_text(
        f"c.JupyterHub.db_url = {hub!r}\nc.UsageConfig.ledger_url = {url!r}\n"
        "c.UsageConfig.usage_source = 'sessions'\n"
        f"c.UsageQuotaManager.policy = [{policy | {'scope': {'everyone': True}}!r}]\n"
    )
    done = run_command("simulate", "--config", config, "--since", "40h", "--json")
    assert done.returncode == 0, done.stderr
    (ada,) = json.loads(done.stdout)["users"]
    # More than one of the four hours must be a day ago: to the minute, since the log is exact.
    at, retry = (
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one))
        for one in (
            now - 20 * HOUR,
            now - (30 - 1 - 24) * HOUR + 60,
        )
    )
    assert [(one["at"], one["retry_time"]) for one in ada["denied"]] == [(at, retry)]
    assert (ada["launches"], ada["launches_uncertain"]) == (2, 1)
