"""Daily usage out of a real Prometheus, with the cost monitor's own configuration: two hubs, a
server over midnight, homes, groups; and no further back than Prometheus goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_usage_quotas.services.cost_monitor.app import (
    configured_environment,
    make_context,
    make_rolling,
)
from tests.support.cluster import GIB, HOUR, Pod, hub_pod
from tests.support.cost_monitor import configured
from tests.support.programs import Span
from tests.support.recorded import NOW, serve_history

__all__ = ["serve_history"]

DAY = 24 * HOUR
TODAY = NOW // DAY * DAY
YESTERDAY, BEFORE = TODAY - DAY, TODAY - 2 * DAY
BEGIN = BEFORE - HOUR
AT = datetime.fromtimestamp(TODAY, UTC) + timedelta(hours=2)
"""When it is looked: two hours into the day."""


def home(directory: str, size: float, namespace: str) -> Span:
    labels = {"directory": directory, "namespace": namespace}
    return Span("dirsize_total_size_bytes", labels, BEGIN, TODAY, size, step=300)


def group(username: str, usergroup: str) -> Span:
    labels = {"namespace": "prod", "username": username, "usergroup": usergroup}
    return Span("jupyterhub_user_group_info", labels, TODAY, TODAY + 2 * HOUR, 1.0)


def history() -> Iterator[Span]:
    for namespace in ("prod", "staging"):
        yield from hub_pod(BEGIN, TODAY + HOUR, namespace)

    def pod(user: str, start: int, hours: float, namespace: str, **more) -> Iterator[Span]:
        end = int(start + hours * HOUR)
        name = f"jupyter-{user}-{start}"
        yield from Pod(user, start, end, name, name, namespace=namespace, **more).spans

    # Two hours before midnight, and three after.
    yield from pod("ada", YESTERDAY - 2 * HOUR, 5, "prod", memory=2 * GIB, cpu=1.0, profile="big")
    yield from pod("ada", YESTERDAY + 5 * HOUR, 1, "prod", memory=4 * GIB)
    # Until the end of the day, and on.
    yield from pod("bob", TODAY - HOUR, 2, "prod", cpu=0.5, gpus=2)
    yield from pod("eve", YESTERDAY + 10 * HOUR, 2, "staging")
    yield home("ada", 3 * GIB, "prod")
    yield home("left-over", GIB, "prod")
    yield group("ada", "physics")
    yield group("bob", "none")


@pytest.fixture(scope="module")
def url(serve_history) -> str:
    return serve_history(history())


async def test_each_day_of_each_hub_is_kept_as_it_was(url, tmp_path):
    monitor = configured(tmp_path, reach_days=30, prometheus_url=url, hub_namespace="")
    around = configured_environment(monitor, {})
    context = make_context(monitor, around, clock=lambda: AT)
    rolling = make_rolling(monitor, context)
    # Two whole days of two hubs, and the hour of the day before of each.
    assert await rolling.roll() == 6
    assert rolling.problem == ""
    await rolling.note_groups()
    usage = context.costs.usage
    yesterday, today = (datetime.fromtimestamp(one, UTC).date() for one in (YESTERDAY, TODAY))
    days = await usage.days(yesterday - timedelta(days=30), today)
    by_day = {day for day, _ in days}
    assert by_day == {yesterday - timedelta(days=back) for back in range(3)}
    assert days[yesterday, "prod"].coverage == pytest.approx(1.0, abs=0.01)
    assert days[yesterday - timedelta(days=2), "prod"].coverage == pytest.approx(1 / 24, abs=0.01)

    used = await usage.usage(yesterday - timedelta(days=1), today)
    gib_hours = {
        hub: {user: of["memory"] / 1024 / HOUR for user, of in users.items() if "memory" in of}
        for hub, users in used[yesterday].used.items()
    }
    assert gib_hours == {
        "prod": {
            # What was backfilled has no end: it is there for five minutes more.
            "ada": pytest.approx(3 * 2 + 4, abs=0.5),
            "bob": pytest.approx(1, abs=0.2),
        },
        "staging": {"eve": pytest.approx(2, abs=0.2)},
    }
    prod = used[yesterday].used["prod"]
    assert prod["ada"]["cpu"] / 1000 / HOUR == pytest.approx(3, abs=0.2)
    assert prod["bob"]["gpu"] / 1000 / HOUR == pytest.approx(2, abs=0.2)
    assert prod["ada"]["storage"] / 1024 / HOUR == pytest.approx(3 * 24)
    assert prod[""]["storage"] / 1024 / HOUR == pytest.approx(24)
    before = used[yesterday - timedelta(days=1)].used
    assert before["prod"]["ada"]["memory"] / 1024 / HOUR == pytest.approx(2 * 2, abs=0.2)
    # Staging had no users on that day, and was there: nobody used anything.
    assert before["staging"] == {}
    # Nothing is lost between two days.
    both = before["prod"]["ada"]["cpu"] + prod["ada"]["cpu"]
    assert both / 1000 / HOUR == pytest.approx(5, abs=0.1)
    assert (await usage.groups(today))["prod", "ada"] == ("physics",)
    assert await rolling.roll() == 0
    await rolling.aclose()
    await usage.database.aclose()
