"""What observers are handed of decisions on launches, and what one of them may do wrong."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.hub.launch.denial import LaunchDenied
from jupyterhub_usage_quotas.hub.launch.record import DecisionRecord
from jupyterhub_usage_quotas.quotas.decide import Outcome
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import Subject
from tests.support.hub_objects import hub_spawner, hub_user

URL = "http://prometheus.test"
ADA = hub_user("ada", "red", admin=True)
ZERO = {"resource": "time", "limit": "0 hours", "window": 7, "scope": {"everyone": True}}


class Notes:
    """An observer that keeps what it is handed."""

    def __init__(self) -> None:
        self.records: list[DecisionRecord] = []

    def decided(self, record: DecisionRecord) -> None:
        self.records.append(record)


class Broken:
    """An observer that fails."""

    def decided(self, record: DecisionRecord) -> None:
        raise RuntimeError("no ink")


def manager(**options: Any) -> UsageQuotaManager:
    config = Config()
    config.UsageConfig.prometheus_url = URL
    config.UsageConfig.hub_namespace = "ns"
    config.UsageConfig.home_storage = False
    config.UsageQuotaManager.policy = [ZERO]
    config.UsageQuotaManager.failover_open = False
    config.UsageQuotaManager.update(options)
    return UsageQuotaManager(config=config)


@pytest.fixture(autouse=True)
def unreachable():
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.route(method="POST").side_effect = httpx.ConnectError("refused")
        yield


async def launch(made: UsageQuotaManager) -> bool:
    """Whether a launch of a server with a name passes."""
    spawner = hub_spawner("work")
    try:
        await made.pre_spawn_start(ADA, spawner)
    except LaunchDenied:
        return False
    finally:
        await made.aclose()
    return True


@pytest.mark.parametrize(
    ("options", "passes", "outcome"),
    [
        ({}, False, Outcome.FAILOVER_CLOSED),
        ({"failover_open": True}, True, Outcome.FAILOVER_OPEN),
        ({"enforcement": "shadow"}, True, Outcome.FAILOVER_CLOSED),
    ],
)
async def test_every_observer_is_handed_what_was_decided_once(options, passes, outcome):
    made, first, second = manager(**options), Notes(), Notes()
    made.observers += [first, second]
    before = datetime.now(UTC)
    assert await launch(made) is passes
    (record,) = first.records
    assert second.records == [record]
    assert record.decision.outcome is outcome
    assert record.enforcement.value == options.get("enforcement", "enforce")
    assert record.denied is not passes
    assert record.subject == Subject("ada", frozenset({"red"}), admin=True)
    assert record.server == ServerAttributes(name="work")
    assert before <= record.asked <= record.decided <= datetime.now(UTC)


async def test_where_quotas_are_off_there_is_nothing_to_observe():
    made, notes = manager(enforcement="off"), Notes()
    made.observers.append(notes)
    assert await launch(made)
    assert notes.records == []


@pytest.mark.parametrize(("open_", "passes"), [(True, True), (False, False)])
async def test_an_observer_that_fails_changes_nothing(open_, passes, caplog):
    made, notes = manager(failover_open=open_), Notes()
    made.observers[:0] = [Broken()]
    made.observers.append(notes)
    with caplog.at_level(logging.ERROR):
        assert await launch(made) is passes
    assert len(notes.records) == 1
    (logged,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "Broken" in logged.getMessage()
    assert "no ink" in str(logged.exc_info[1])
