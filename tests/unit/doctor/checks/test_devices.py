"""What the doctor says of devices, whatever Prometheus says servers requested."""

from __future__ import annotations

import httpx
import pytest
import respx
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.doctor.checks.devices import devices
from jupyterhub_usage_quotas.doctor.deployment import Deployment

URL = "http://prometheus.test"


async def examined(requested, **options):
    """Status and sentence of every finding, and the queries, where so much was requested."""
    config = Config()
    config.UsageConfig.prometheus_url = URL
    config.UsageConfig.hub_namespace = "jhub"
    config.UsageConfig.update(options)
    manager = UsageQuotaManager(config=config)

    def answer(request):
        now = float(httpx.QueryParams(request.content.decode())["time"])
        result = [
            {"metric": {"resource": name}, "value": [now, str(amount)]}
            for name, amount in requested.items()
        ]
        data = {"resultType": "vector", "result": result}
        return httpx.Response(200, json={"status": "success", "data": data})

    with respx.mock(base_url=URL, assert_all_called=False) as router:
        route = router.post("/api/v1/query").mock(side_effect=answer)
        found = await devices(Deployment(config, manager))
        queries = [
            httpx.QueryParams(call.request.content.decode())["query"] for call in route.calls
        ]
    await manager.aclose()
    return [(one.status.value, one.says) for one in found], queries


ANY_OF_NVIDIA = {"gpu_resources": ["nvidia.com/*"]}


@pytest.mark.parametrize(
    ("name", "amount", "shown"),
    [
        ("nvidia_com_gpumem", 3000, "3,000"),
        ("nvidia_com_gpumem", 20, "20"),
        ("nvidia_com_gpucores", 30, "30"),
        ("nvidia_com_gpumem_percentage", 50, "50"),
        ("nvidia_com_slices", 100, "100"),
    ],
)
async def test_an_amount_that_counts_as_devices_is_warned_of(name, amount, shown):
    found, _ = await examined({"nvidia_com_gpu": 1, name: amount}, **ANY_OF_NVIDIA)
    assert found == [
        ("ok", 'servers requested "nvidia_com_gpu", counted as GPU'),
        ("warning", f'servers requested {shown} of "{name}", counted as GPU'),
    ]


async def test_devices_by_the_default_names():
    requested = {"nvidia_com_gpu": 8, "nvidia_com_gpumem": 3000, "memory": 2**30}
    found, queries = await examined(requested)
    assert [status for status, _ in found] == ["ok", "warning"]
    assert found[1][1] == 'servers requested "nvidia_com_gpumem", counted as nothing'
    assert all("annotation_hub_jupyter_org_username" in one for one in queries)


async def test_where_pods_are_known_by_their_names_all_of_the_namespace_count():
    found, queries = await examined({"nvidia_com_gpu": 1}, identify_pods_by="name")
    assert found == [("ok", 'pods requested "nvidia_com_gpu", counted as GPU')]
    assert queries
    assert all("annotation" not in one and '"jhub"' in one for one in queries)


async def test_what_the_hub_exports_has_no_names():
    found, queries = await examined({}, usage_source="hub")
    assert found == [
        ("skipped", "the Hub exports how many GPUs its servers request, and not by which name")
    ]
    assert queries == []
