"""What the Hub's meter does is counted on its metrics endpoint, whatever it is."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import respx
from jupyterhub import orm
from prometheus_client import REGISTRY

from tests.support.fake_prometheus import URL, alive, manager, vector


def shown(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"jupyterhub_usage_quotas_{name}", labels) or 0.0


def counted() -> Counter[str]:
    return Counter(
        {
            "requests": shown("prometheus_requests_total", outcome="success"),
            "timed": shown("prometheus_request_duration_seconds_count"),
            "refreshes": shown("refreshes_total", outcome="success"),
        }
    )


def with_a_pod_of_nobody(request: httpx.Request) -> Any:
    """As a source without users, in whose namespace a pod ran that is named like a user's."""
    asked = httpx.QueryParams(request.content.decode())
    if "start" not in asked and "group by (namespace, pod, uid) (max_over_time(" in asked["query"]:
        part = "namespace, pod, uid"
        labels = {"namespace": "ns", "pod": "jupyter-who", "uid": "1", "part": part}
        return vector({"metric": labels, "value": [float(asked["time"]), "1"]})
    return alive(request)


async def test_requests_refreshes_and_how_far_usage_is_known_are_shown():
    before = counted()
    with respx.mock(base_url=URL) as router:
        route = router.route(method="POST").mock(side_effect=alive)
        asked = manager()
        await asked.meter.refresh(timedelta(days=1))
        await asked.aclose()
    calls = route.call_count
    assert calls > 1
    assert counted() - before == {"requests": calls, "timed": calls, "refreshes": 1}
    assert shown("usage_age_seconds") < 120


async def test_pods_of_nobody_are_shown(tmp_path):
    with respx.mock(base_url=URL) as router:
        router.route(method="POST").mock(side_effect=with_a_pod_of_nobody)
        asked = manager(identify_pods_by="name", hub_database=database(tmp_path))
        await asked.meter.refresh(timedelta(days=1))
        await asked.aclose()
    assert shown("pods_without_user") == 1


def database(tmp_path: Any) -> str:
    """A Hub's database with nobody in it."""
    url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    orm.new_session_factory(url)().close()
    return url
