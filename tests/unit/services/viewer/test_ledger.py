"""The viewer counts what people decided as the Hub does, from the ledger that the Hub names."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_usage_quotas import Grant, SqlLedger
from tests.support.decided import LEDGER, VARIABLE, granted
from tests.support.viewer import running_viewer

POLICY = {
    "name": "week",
    "resource": "time",
    "limit": "8 hours",
    "window": 7,
    "scope": {"everyone": True},
}
RULES: dict[str, Any] = {"policy": [POLICY], "ledger_factory": LEDGER}
FROM, UNTIL = "2020-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"
MADE = "2024-09-01T08:00:00.123456Z"


@pytest.mark.parametrize("pooled", [False, True])
def test_a_grant_is_shown_to_its_user_and_not_to_the_next_of_the_same_name(monkeypatch, pooled):
    grant = {"policy": "week", "start": FROM, "until": UNTIL, "amount": 2 * 3600.0}
    monkeypatch.setenv(VARIABLE, granted(**grant, user="ada", user_created=MADE))
    # A pool beside it, of which all users must be known.
    pool = POLICY | {"name": "all", "share": "pooled"}
    rules = RULES | {"policy": [POLICY, pool] if pooled else [POLICY]}
    allowed = {}
    for created in (MADE, "2026-10-01T08:00:00.000001Z"):
        with running_viewer({"UsageQuotaManager": rules}) as viewer:
            for name in ("ada", "bob", "admin"):
                viewer.hub.add_user(name, admin=name == "admin")
                viewer.hub.users[name]["created"] = created
            said = viewer.api("users/ada", "admin").json()
            users = viewer.api("users", "admin").json()["items"]
        verdict = next(one for one in said["verdicts"] if one["policy"] == "week")
        (row,) = [one for one in users if one["user"] == "ada"]
        of_row = next(one for one in row["verdicts"] if one["policy"] == "week")
        allowed[created] = (verdict["allowance"], len(verdict["grants"]), of_row["allowance"])
    assert list(allowed.values()) == [(10, 1, 10), (8, 0, 8)]
    assert datetime.fromisoformat(FROM) < datetime.now(UTC) < datetime.fromisoformat(UNTIL)


def test_decisions_in_a_database_are_shown_and_until_it_can_be_read_nothing_is(tmp_path: Path):
    """What is not known is not shown as if nobody had been given anything."""
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    rules = {"UsageConfig": {"ledger_url": url}, "UsageQuotaManager": {"policy": [POLICY]}}
    with running_viewer(rules) as viewer:
        viewer.hub.add_user("ada")
        viewer.hub.users["ada"]["created"] = MADE
        assert viewer.api("me", "ada").status_code == 503
        answer = viewer.api("users/ada", "ada")
        assert (answer.status_code, answer.headers["content-type"]) == (
            503,
            "application/problem+json",
        )
        assert "sqlite" not in answer.text
        asyncio.run(write(url))
        (verdict,) = viewer.api("users/ada", "ada").json()["verdicts"]
        assert (verdict["allowance"], len(verdict["grants"])) == (10, 1)


async def write(url: str) -> None:
    """What the Hub and a person would do."""
    ledger = SqlLedger.at(url, upgrade=True)
    common = {"user": "ada", "user_created": datetime.fromisoformat(MADE)}
    start = datetime.now(UTC) - timedelta(hours=1)
    more = Grant(
        "week", start, start + timedelta(days=7), **common, actor="t", reason="late", amount=7200.0
    )
    await ledger.record([more])
    await ledger.aclose()
