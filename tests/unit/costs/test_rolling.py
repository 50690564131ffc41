"""A day is kept once it is complete, of every hub, as far as Prometheus goes back; with the homes
and groups of its users.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
import respx

from jupyterhub_usage_quotas.costs.rolling import NOT_THERE, Reading, UsageRolling
from jupyterhub_usage_quotas.costs.usage_store import UsageStore
from jupyterhub_usage_quotas.errors import PrometheusTimeout
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.sources.base import InPrometheus
from jupyterhub_usage_quotas.metering.sources.home_storage import home_storage
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from tests.support.fake_prometheus import URL, vector
from tests.support.made_up import MadeUp, Session

NOW = datetime(2026, 10, 8, 2, 30, tzinfo=UTC)
DAY = date(2026, 10, 7)
MIDNIGHT = datetime(2026, 10, 7, tzinfo=UTC).timestamp()
HOUR, GIB = 3600, 2**30
LARGE = ServerAttributes(profile="large")


@pytest.fixture
async def store(tmp_path) -> AsyncIterator[UsageStore]:
    database = Database(parse_ledger_url(f"sqlite:///{tmp_path / 'usage.sqlite'}"), upgrade=True)
    yield UsageStore(database)
    await database.aclose()


@pytest.fixture
def prometheus():
    """One that knows two hubs, a home of ada's and one of nobody's, and groups."""
    answers: dict[str, Any] = {
        "present_over_time": [{"namespace": "prod"}, {"namespace": "staging"}],
        "avg_over_time": [({"directory": "ada"}, 3 * GIB), ({"directory": "left"}, GIB)],
        "jupyterhub_user_group_info": [
            {"namespace": "prod", "username": "ada", "usergroup": "maths"},
            {"namespace": "prod", "username": "ada", "usergroup": "multiple"},
            {"namespace": "prod", "username": "ada", "usergroup": "physics"},
            {"namespace": "prod", "username": "bob", "usergroup": "none"},
        ],
    }

    def answer(request: httpx.Request) -> httpx.Response:
        asked = httpx.QueryParams(request.content.decode())
        query, at = asked["query"], float(asked["time"])
        known = next(found for name, found in answers.items() if name in query)
        pairs = [one if isinstance(one, tuple) else (one, 1) for one in known]
        return vector(*({"metric": labels, "value": [at, str(value)]} for labels, value in pairs))

    with respx.mock(assert_all_called=False) as mocked:
        mocked.post(f"{URL}/api/v1/query").mock(side_effect=answer)
        yield answers


def rolling(store, sources, hubs=None, *, homes=(), reach=3, now=NOW) -> UsageRolling:
    reading = Reading(
        lambda namespace: InPrometheus(PrometheusClient(URL), sources[namespace]),
        homes,
        RESOURCES,
        timedelta(minutes=10),
        timedelta(0),
        "kube_pod_annotations",
        "annotation_hub_jupyter_org_username",
    )
    return UsageRolling(
        store,
        PrometheusClient(URL),
        reading,
        hubs or {},
        reach=timedelta(days=reach),
        clock=lambda: now,
    )


def session(start, end, server=LARGE, **rates):
    return Session(MIDNIGHT + start * HOUR, MIDNIGHT + end * HOUR, rates, server)


SOURCES = {
    "prod": MadeUp(
        {
            # Over both midnights: only the day's own hours count.
            "ada": [session(-5, 2, memory=4.0 * GIB, cpu=0.5), session(20, 30, memory=1.0 * GIB)],
            "bob": [session(3, 4, ServerAttributes(), gpu=1.0)],
        }
    ),
    "staging": MadeUp({}),
}


async def test_complete_days_of_all_hubs_are_kept(store, prometheus):
    roller = rolling(store, SOURCES)
    # Three days of two hubs; the day that is not over is not one of them.
    assert await roller.roll() == 6
    assert roller.problem == ""
    days = await store.days(date(2026, 10, 1), date(2026, 10, 9))
    assert {day for day, _ in days} == {date(2026, 10, number) for number in (5, 6, 7)}
    assert all(one.coverage == 1.0 for one in days.values())
    used = (await store.usage(DAY, DAY + timedelta(days=1)))[DAY].used
    assert used == {
        "prod": {
            "ada": {"memory": (2 * 4 + 4) * HOUR * 1024, "cpu": HOUR * 1000},
            "bob": {"gpu": HOUR * 1000},
        },
        "staging": {},
    }
    before = (await store.usage(DAY - timedelta(days=1), DAY))[DAY - timedelta(days=1)].used
    assert before["prod"]["ada"]["cpu"] == 5 * HOUR * 500
    assert await roller.roll() == 0


async def test_hubs_can_have_names_of_their_own(store, prometheus):
    roller = rolling(store, SOURCES, {"Production": "prod"})
    await roller.roll()
    assert {hub for _, hub in await store.days(DAY, DAY + timedelta(days=1))} == {"Production"}


async def test_it_goes_back_as_far_as_prometheus(store, prometheus):
    asked = MadeUp({}, alive=False)
    roller = rolling(store, {"prod": asked}, {"prod": "prod"}, reach=300)
    assert await roller.roll() == 0
    assert await store.days(date(2025, 1, 1), date(2027, 1, 1)) == {}
    begun = {steps.end.date() for steps in asked.asked}
    assert len(begun) <= 2 * NOT_THERE + 2


async def test_prometheus_that_fails_is_asked_again(store, prometheus):
    failing = MadeUp({}, failure=PrometheusTimeout("no answer in time"))
    roller = rolling(store, {"prod": failing}, {"prod": "prod"})
    assert await roller.roll() == 0
    assert roller.problem == "no answer in time"
    failing.failure = None
    assert await roller.roll() == 3
    assert roller.problem == ""


async def test_homes_are_their_users_and_else_nobodys(store, prometheus):
    homes = [home_storage("", lambda user: user)]
    await rolling(store, SOURCES, {"prod": "prod"}, homes=homes).roll()
    used = (await store.usage(DAY, DAY + timedelta(days=1)))[DAY].used["prod"]
    assert used["ada"]["storage"] == 3 * 1024 * 24 * HOUR
    assert used[""]["storage"] == 1024 * 24 * HOUR
    assert "storage" not in used["bob"]


async def test_a_day_that_is_read_again_says_if_it_is_another(store, prometheus, caplog):
    sources = dict(SOURCES)
    roller = rolling(store, sources)
    await roller.roll()
    assert not await roller.again(DAY, "prod")
    sources["prod"] = MadeUp({"ada": [session(0, 1, cpu=1.0)]})
    assert await roller.again(DAY, "prod")
    assert "Daily usage was restated: 2026-10-07 of prod" in caplog.text
    assert (await store.days(DAY, DAY + timedelta(days=1)))[DAY, "prod"].restated == 1


async def test_groups_are_noted_without_what_the_exporter_makes_up(store, prometheus):
    await rolling(store, SOURCES).note_groups()
    assert await store.groups(DAY) == {("prod", "ada"): ("maths", "physics"), ("prod", "bob"): ()}


async def test_groups_of_a_hub_that_says_them_itself_are_not_the_exporters(store, prometheus):
    await rolling(store, SOURCES).note_groups(without=["prod"])
    assert await store.groups(DAY) == {}
    prometheus["jupyterhub_user_group_info"].append(
        {"namespace": "staging", "username": "eve", "usergroup": "maths"}
    )
    await rolling(store, SOURCES).note_groups(without=["prod"])
    assert await store.groups(DAY) == {("staging", "eve"): ("maths",)}
