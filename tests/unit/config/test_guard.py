"""The options about running servers, and the same keys of policies."""

from __future__ import annotations

from datetime import timedelta

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.quotas.stopping.steps import Rules

RULE = {
    "resource": "time",
    "limit": "20 hours",
    "window": 7,
    "scope": {"everyone": True},
    "when_exhausted": "stop",
}


def options(**written):
    return QuotaOptions(config=Config({"UsageQuotaManager": written}))


def minutes(*numbers):
    return tuple(timedelta(minutes=number) for number in numbers)


def test_what_is_usual():
    made = options()
    assert made.guard == "enforce"
    assert made.stopping_rules == Rules(timedelta(minutes=5), minutes(30, 10, 2), 3)


def test_what_is_written():
    made = options(guard="shadow", grace="1 hour", warn_before=["2 minutes", "15 minutes"])
    assert made.guard == "shadow"
    assert made.stopping_rules == Rules(timedelta(hours=1), minutes(15, 2), 3)
    assert options(warn_before=[]).stopping_rules.warn_before == ()


def test_what_a_policy_says():
    (one,) = options(policy=[RULE | {"grace": "0 minutes", "warn_before": []}]).policies
    assert (one.grace, one.warn_before) == (timedelta(0), ())
    (one,) = options(policy=[RULE | {"warn_before": ["10 minutes", "1 hour"]}]).policies
    assert (one.grace, one.warn_before) == (None, minutes(60, 10))
    budgets = {"grace": "10 minutes", "warn_before": ["5 minutes"]}
    for one in options(weekly_budgets=budgets).policies:
        assert (one.grace, one.warn_before) == (*minutes(10), minutes(5))


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"guard": "kill"}, "UsageQuotaManager.guard: "),
        ({"grace": 5}, "UsageQuotaManager.grace: got 5; expected a duration of at most 7 days"),
        ({"grace": "8 days"}, "UsageQuotaManager.grace: got '8 days'; expected a duration of at"),
        ({"warn_before": "10 minutes"}, "UsageQuotaManager.warn_before: got '10 minutes'; expec"),
        ({"warn_before": ["0 s"]}, "UsageQuotaManager.warn_before: "),
        ({"warn_before": ["1 hour"] * 11}, "UsageQuotaManager.warn_before: "),
        ({"guard_readings": 1}, "UsageQuotaManager.guard_readings: got 1; expected a number of r"),
        (
            {"policy": [RULE | {"when_exhausted": "deny", "grace": "5 minutes"}]},
            "UsageQuotaManager.policy[0]: grace is only for policies with when_exhausted: stop",
        ),
        (
            {"policy": [RULE | {"warn_before": ["soon"]}]},
            "UsageQuotaManager.policy[0].warn_before: got 'soon'; expected durations",
        ),
        (
            {"policy": [RULE | {"grace": []}]},
            "UsageQuotaManager.policy[0].grace: got []; expected a duration",
        ),
    ],
)
def test_a_mistake_is_named(written, says):
    with pytest.raises(ConfigurationError) as refused:
        options(**written)
    (error,) = refused.value.errors
    assert error.startswith(says)
