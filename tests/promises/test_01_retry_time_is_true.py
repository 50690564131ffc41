"""Promise 1, through a real Prometheus: denied now, denied a minute before the retry time, and
allowed at it. The decisions are made in the past, where the future is known.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.quotas.decide import Decision, Outcome, Request
from jupyterhub_usage_quotas.quotas.subject import Subject
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.decisions import decided_by
from tests.support.programs import Span
from tests.support.recorded import NOW, instant

DAYS = 16
USAGE_ENDS = NOW - 8 * 24 * HOUR
DECIDED = USAGE_ENDS + 187
"""After the look-back, in which a backfilled pod still seems to run; in the middle of a minute."""

USERS = [f"user-{number}" for number in range(6)]

POLICIES = [
    {"resource": "memory", "limit": "50 GiB-hours", "window": 7, "scope": {"everyone": True}},
    {"resource": "cpu", "limit": "9 CPU-hours", "window": "60h", "scope": {"everyone": True}},
    {
        "resource": "time",
        "limit": "6 hours",
        "window": 3,
        "scope": {"everyone": True},
        "minimum_session": "90 minutes",
    },
]


def history() -> Iterator[Span]:
    """Every user runs servers of random size at random times, until eight days ago."""
    chance = random.Random(20)
    yield from hub_pod(NOW - DAYS * 24 * HOUR, NOW)
    for username in USERS:
        end = USAGE_ENDS - chance.randrange(30) * 60
        for number in range(12):
            start = end - chance.randrange(20, 240) * 60
            yield from Pod(
                username,
                start,
                end,
                f"jupyter-{username}",
                f"{username}-{number}",
                memory=chance.choice([1, 2, 4]) * GIB,
                cpu=chance.choice([0.5, 1, 2]),
            ).spans
            end = start - chance.randrange(3, 600) * 60


@pytest.fixture(scope="module")
def config(serve_history: Callable[..., str]) -> Config:
    config = Config()
    config.UsageConfig.prometheus_url = serve_history(history())
    config.UsageConfig.hub_namespace = NAMESPACE
    config.UsageConfig.deadline = 60.0
    config.UsageConfig.request_timeout = 60.0
    config.UsageQuotaManager.policy = POLICIES
    return config


async def decide(config: Config, username: str, unix: float, **rates: float) -> Decision:
    manager = UsageQuotaManager(config=config)
    try:
        return await decided_by(
            manager, Request(Subject(username), rates=rates), instant(int(unix))
        )
    finally:
        await manager.aclose()


@pytest.mark.parametrize("username", USERS)
async def test_allowed_at_the_retry_time_and_denied_a_minute_before(config, username):
    denied = await decide(config, username, DECIDED)
    assert denied.outcome is Outcome.DENIED
    retry_time = denied.retry_time
    assert retry_time is not None
    assert retry_time.timestamp() % 60 == 0
    assert instant(USAGE_ENDS) < retry_time <= instant(NOW)

    before = await decide(config, username, (retry_time - timedelta(minutes=1)).timestamp())
    assert before.outcome is Outcome.DENIED
    assert before.retry_time == retry_time
    at = await decide(config, username, retry_time.timestamp())
    assert at.outcome is Outcome.ALLOWED


async def test_the_binding_policy_differs_between_users(config):
    """So that the test above is about several policies, not about one."""
    decisions = [await decide(config, username, DECIDED) for username in USERS]
    assert len({decision.binding.allotment.resource for decision in decisions}) > 1


async def test_never_is_said_of_what_can_never_fit_and_of_nothing_else(config):
    """Ninety minutes of five servers' time are more than the six hours that there are, whoever used
    nothing; of four they are as much.
    """
    for username in ("nobody", USERS[0]):
        for at in (DECIDED, NOW):
            never = await decide(config, username, at, time=5.0)
            assert never.outcome is Outcome.DENIED
            assert never.retry_time is None
    assert (await decide(config, "nobody", DECIDED, time=4.0)).outcome is Outcome.ALLOWED
    later = await decide(config, USERS[0], DECIDED, time=4.0)
    assert later.retry_time is not None
