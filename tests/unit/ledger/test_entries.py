"""What may be written for which policies. What each draft must be like: the contract of ledgers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_usage_quotas.ledger.entries import errors_with_policies
from jupyterhub_usage_quotas.quotas.adjustments import Grant
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies

NOW = datetime(2026, 11, 23, tzinfo=UTC)
EVERYONE = {"resource": "time", "limit": "9 hours", "window": 7, "scope": {"everyone": True}}
POLICIES = parse_policies(
    [
        EVERYONE | {"name": "week"},
        EVERYONE | {"name": "team", "share": "pooled"},
        EVERYONE | {"window": 30},
    ],
    {"empty": {"resource": "cpu", "limit": "1 CPU-hours", "window": 7}},
)
WEEK, TEAM, UNNAMED, REST = (one.name for one in POLICIES)


def errors(policy: str, user: str | None = "ada") -> list[str]:
    draft = Grant(policy, NOW, NOW + timedelta(days=1), user, amount=60.0)
    return list(errors_with_policies(draft, POLICIES))


def test_named_policies_can_be_adjusted_for_a_user_or_for_all_and_pools_for_all():
    assert errors(WEEK) == errors(WEEK, None) == errors(TEAM, None) == []


def test_a_pool_is_not_one_users():
    (error,) = errors(TEAM)
    assert "share: pooled" in error
    assert "'ada'" in error


@pytest.mark.parametrize("policy", [UNNAMED, REST])
def test_a_policy_without_a_name_has_no_adjustments_and_it_is_said_what_to_do(policy):
    (error,) = errors(policy)
    assert repr(policy) in error
    assert '"name": ' in error


def test_a_policy_that_is_not_there():
    (error,) = errors("weak")
    assert error.startswith("unknown policy: got 'weak'; expected one of: week, team, ")
    draft = Grant("week", NOW, NOW + timedelta(days=1), amount=60.0)
    assert list(errors_with_policies(draft, parse_policies([]))) == [
        "unknown policy: got 'week'; expected one of: none"
    ]


def test_which_names_are_made_up():
    assert POLICIES.default_names == {UNNAMED, REST}
    named = [EVERYONE | {"name": UNNAMED, "window": 30}]
    assert parse_policies(named).default_names == set(), "an admin may choose the same name"
