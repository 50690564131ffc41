"""What the doctor says of resources that an admin defined, and of gauges that are added."""

from __future__ import annotations

from typing import Any, ClassVar

import httpx
import pytest
import respx
from jupyterhub import orm
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.doctor.checks.resources import resources
from jupyterhub_usage_quotas.doctor.deployment import Deployment
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from tests.support.added.object_storage import OBJECT_STORAGE, OBJECTS
from tests.support.fake_prometheus import URL, vector

EVERYONE = {"scope": {"everyone": True}}
SEATS = {"seats": {"promql": "seats_in_use", "unit": "seat"}}
LIMITED = {"resource": "seats", "limit": "10 seat-hours", "window": 7} | EVERYONE
BUCKETS = {"resource": "objects", "limit": "10 GiB"} | EVERYONE


class Quotas(UsageQuotaManager):
    """The options, with a gauge more."""

    BUILT_IN: ClassVar = {**RESOURCES, OBJECTS.name: OBJECTS}
    GAUGES: ClassVar = (*UsageQuotaManager.GAUGES, OBJECT_STORAGE)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Hub's, with two users."""
    url = f"sqlite:///{tmp_path_factory.mktemp('hub') / 'jupyterhub.sqlite'}"
    session = orm.new_session_factory(url)()
    session.add_all(orm.User(name=one) for one in ("alice", "bob"))
    session.commit()
    session.close()
    return url


async def examined(
    database: str, answer: Any, *policies: Any, kind: Any = UsageQuotaManager, defined: Any = SEATS
) -> list[tuple[str, str]]:
    """Status, and what is said with its cure, of each finding."""
    config = Config()
    config.UsageConfig.prometheus_url = URL
    config.UsageConfig.hub_namespace = "jhub"
    config.UsageConfig.resources = defined
    config.UsageConfig.hub_database = database
    config.UsageQuotaManager.policy = list(policies)
    manager = kind(config=config)
    deployment = Deployment(config, manager)

    def answers(request: httpx.Request) -> httpx.Response:
        asked = httpx.QueryParams(request.content.decode())
        response: httpx.Response = answer(asked["query"])
        said = response.json()
        for one in said.get("data", {}).get("result", []):
            one["value"][0] = float(asked["time"])
        return httpx.Response(response.status_code, json=said)

    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.post("/api/v1/query").mock(side_effect=answers)
        found = await resources(deployment)
    await deployment.aclose()
    return [(one.status.value, f"{one.says} {one.cure}") for one in found]


def series(**numbers: float) -> httpx.Response:
    """So many series of each user; of nobody's, as Prometheus counts those without the label."""
    by_user = {"" if user == "nobody" else user: number for user, number in numbers.items()}
    return vector(
        *(
            {"metric": {"username": user} if user else {}, "value": [0, str(number)]}
            for user, number in by_user.items()
        )
    )


def refuses(_query: str) -> httpx.Response:
    said = {"status": "error", "errorType": "bad_data", "error": "1:5: parse error: unexpected x"}
    return httpx.Response(400, json=said)


@pytest.mark.parametrize(
    ("answer", "policies", "status", "words"),
    [
        (lambda _: series(alice=2, bob=1), [LIMITED], "ok", ["seats has 2 users"]),
        (lambda _: series(), [LIMITED], "failed", ["no series", "a policy limits it", "failover"]),
        (lambda _: series(), [], "warning", ["no series", "no policy limits it", '["seats"]']),
        (
            lambda query: series() if "count by" in query else series(nobody=1),
            [LIMITED],
            "ok",
            ["seats has 0 users now"],
        ),
        (
            lambda _: series(nobody=3),
            [LIMITED],
            "failed",
            ["3 of 3 series of seats have no label username", "sum by (username)"],
        ),
        (
            lambda _: series(nobody=1, alice=3),
            [LIMITED],
            "failed",
            ["1 of 4 series", "label_replace"],
        ),
        (
            lambda _: series(**{"jupyter-alice": 1}),
            [LIMITED],
            "failed",
            ["no user of the Hub", '"jupyter-alice"'],
        ),
        (refuses, [LIMITED], "failed", ["refuses the expression of seats", "parse error"]),
    ],
)
async def test_a_resource_of_the_admins_own(database, answer, policies, status, words):
    (found,) = await examined(database, answer, *policies)
    assert found[0] == status
    assert not [word for word in words if word not in found[1]], found[1]


async def test_each_is_checked_by_itself(database):
    both = SEATS | {"licences": {"promql": "licences_in_use", "unit": "licence"}}
    found = await examined(
        database,
        lambda query: refuses(query) if "licences" in query else series(alice=1),
        LIMITED,
        defined=both,
    )
    assert [status for status, _ in found] == ["ok", "failed"]


def bucket(key: str) -> httpx.Response:
    """What one bucket is reported to have, and when."""
    parts = {"amount": "5", "limit": "9", "at": "0"}
    return vector(
        *(
            {"metric": {"part": part, "bucket": key}, "value": [0, value]}
            for part, value in parts.items()
        )
    )


@pytest.mark.parametrize(
    ("answer", "policies", "status", "words"),
    [
        (lambda _: bucket("home-of-alice"), [BUCKETS], "ok", ["1 of 2 users"]),
        (lambda _: bucket("alice"), [BUCKETS], "failed", ["no user has one", '"alice"']),
        (lambda _: vector(), [BUCKETS], "failed", ["bucket_size_bytes has no series", "Scrape"]),
        (lambda _: vector(), [], "warning", ["bucket_size_bytes has no series"]),
    ],
)
async def test_a_gauge_that_was_added(database, answer, policies, status, words):
    (found,) = await examined(database, answer, *policies, kind=Quotas, defined={})
    assert found[0] == status
    assert not [word for word in words if word not in found[1]], found[1]


async def test_without_any_of_them(database):
    ((status, says),) = await examined(database, refuses, defined={})
    assert (status, "no resources of your own" in says) == ("ok", True)
