"""What is said while a server starts, before what its spawner says."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from jupyterhub_usage_quotas.hub.launch.progress import progress_text, said_while_starting
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Unknown, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.inputs import DecisionInputs
from jupyterhub_usage_quotas.status.language import ENGLISH
from tests.support.hub_objects import hub_spawner

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
RULE = {"resource": "gpu", "limit": "8 GPU-hours", "window": 7, "scope": {"everyone": True}}


def inputs(reading: Any, *rules: dict[str, Any]) -> DecisionInputs:
    policies = parse_policies(list(rules), failover_open=True)
    return DecisionInputs(Subject("ada"), policies, {"gpu": reading}, {}, (), NOW)


HOUR_AGO = NOW.timestamp() - 3600
USED = Fresh(Usage((Bucket(HOUR_AGO, HOUR_AGO + 3600, 5 * 3600),), NOW))


@pytest.mark.parametrize(
    ("reading", "gpus", "rules", "said"),
    [
        (USED, 2, [RULE], "Usage quotas: GPU 3 h left. This server can run for 1h 30m."),
        (USED, 0, [RULE], "Usage quotas: GPU 3 h left."),
        (Unknown("timeout", "http://secret"), 2, [RULE], "Usage quotas: Usage unknown."),
        (USED, 2, [], ""),
    ],
)
def test_what_is_left_and_for_how_long(reading, gpus, rules, said):
    request = Request(Subject("ada"), "", rates={"gpu": gpus})
    assert progress_text(inputs(reading, *rules), request, ENGLISH) == said


async def spawners_own():
    yield {"progress": 50, "message": "Pulling"}


async def messages(spawner: Any) -> list[str]:
    return [event["message"] async for event in spawner.progress()]


async def test_it_comes_first_and_once_however_often_a_spawner_is_started():
    spawner = hub_spawner(progress=spawners_own)
    for text in ("Before.", "Now."):
        with said_while_starting(spawner) as say:
            say(text)
    assert await messages(spawner) == ["Now.", "Pulling"]
    with said_while_starting(spawner):
        pass
    assert await messages(spawner) == ["Pulling"]


async def test_a_page_that_is_opened_before_it_is_known_waits_for_it():
    spawner = hub_spawner(progress=spawners_own)
    with said_while_starting(spawner):  # it is denied
        nothing = asyncio.ensure_future(messages(spawner))
        await asyncio.sleep(0)
    assert await nothing == ["Pulling"]
    with said_while_starting(spawner) as say:
        opened = asyncio.ensure_future(messages(spawner))
        await asyncio.sleep(0)
        say("Left.")
    assert await opened == ["Left.", "Pulling"]


async def test_the_spawners_own_ends_with_it():
    ended = []

    async def endless():
        try:
            while True:
                yield {"message": "Waiting"}
        finally:
            ended.append(True)

    spawner = hub_spawner(progress=endless)
    with said_while_starting(spawner) as say:
        say("Left.")
    events = spawner.progress()
    assert (await anext(events))["message"] == "Left."
    assert (await anext(events))["message"] == "Waiting"
    await events.aclose()
    assert ended == [True]
