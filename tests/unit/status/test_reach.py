"""How much history one user's decision asks for: as much as that of everybody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.status.inputs import gather

NOW = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)


class Asked:
    """Notes what time it is asked for."""

    over: timedelta | None = None

    async def read(self, _users: Any, _resources: Any, over: timedelta, _now: Any, **_: Any) -> Any:
        self.over = over
        return {}


@pytest.mark.parametrize(
    "window",
    [
        7,
        "36h",
        {"calendar": "month"},
        {"refill": 1, "every": "1 minute"},
        {"refill": 0.1, "every": "10 minutes"},
    ],
)
@pytest.mark.parametrize("limit", ["1 CPU-hours", "1000 CPU-hours", "50000 CPU-hours"])
@pytest.mark.parametrize("everyone", [False, True])
async def test_a_user_is_decided_on_as_much_history_as_everybody(
    window: object, limit: str, everyone: bool
):
    rule = {"name": "x", "resource": "cpu", "limit": limit, "window": window}
    policies = parse_policies([{**rule, "scope": {"everyone": True}}])
    asked: Any = Asked()
    await gather(policies, asked, NO_LEDGER, [Subject("ada")], NOW, everyone=everyone)
    assert asked.over == policies.reach
    if window == {"refill": 1, "every": "1 minute"} and limit.startswith("50000"):
        # It takes 35 days to fill, and ten times that until it is forgotten what it was.
        assert asked.over > timedelta(days=340)
