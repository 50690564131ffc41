"""Of whom only usage grows, what is there now is shown as before: each row for its own policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from jupyterhub_usage_quotas.metering.totals import News, UserTotals
from jupyterhub_usage_quotas.quotas.adjustments import Adjustments
from jupyterhub_usage_quotas.quotas.charge import PoolAccounts
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.status.plans import Plans
from jupyterhub_usage_quotas.status.standings import Judging, PolicyStatus, Standing

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
ADA = Subject("ada")
EVERYONE = {"scope": {"everyone": True}}
POLICIES = parse_policies(
    [
        {"name": "homes", "resource": "storage", "limit": "10 GiB"} | EVERYONE,
        {"name": "hours", "resource": "time", "limit": "9 hours", "window": 7} | EVERYONE,
        {"name": "warned", "resource": "storage", "limit": "9 GiB", "when_exhausted": "warn"}
        | EVERYONE,
    ]
)
Rows = tuple[PolicyStatus, ...]


def shown(used: dict[str, float]) -> Rows:
    return tuple(PolicyStatus("ada", name, "", "", "", one, 9.0, 1.0) for name, one in used.items())


def judged(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> Rows:
    """Ada's rows, after usage was new, where she stood so; none where she is judged anew."""
    totals: Any = SimpleNamespace(
        of=lambda _user, *, keep: UserTotals(),
        is_measured=lambda _user, _now: True,
    )
    meter: Any = SimpleNamespace(gauges=[])
    news = News(everybody=False, of={"ada"}, until=NOW.timestamp())
    pools = PoolAccounts(POLICIES, {}, ())
    plans = Plans(POLICIES)
    judging = Judging(POLICIES, meter, totals, plans, news, Adjustments(), pools, NOW)
    plan = replace(plans.of(ADA, (), (), NOW), until=NOW + timedelta(days=1))
    monkeypatch.setattr(Judging, "_by_readings", lambda *_: ((), None))
    known = Standing(ADA, rows, plan, (), None, NOW, 0.0, 0.0)
    return judging.standing(ADA, known).rows


@pytest.mark.parametrize("names", [["homes", "hours", "warned"], ["warned", "homes", "hours"]])
def test_a_row_is_that_of_its_policy_in_whatever_order_they_are(names, monkeypatch):
    used = {"homes": 1.0, "hours": 5.0, "warned": 2.0}
    rows = judged(shown({name: used[name] for name in names}), monkeypatch)
    assert {one.policy: one.used for one in rows} == used | {"hours": 0.0}


def test_where_a_policy_had_no_row_all_are_made_anew(monkeypatch):
    assert judged(shown({"homes": 1.0, "hours": 5.0}), monkeypatch) == ()
