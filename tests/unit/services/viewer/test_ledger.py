"""The viewer counts what people decided as the Hub does, from the ledger that the Hub names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

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
