"""What the doctor says to do about a Prometheus that refuses."""

from __future__ import annotations

import pytest
import respx
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.doctor.checks.reaching import cure
from jupyterhub_usage_quotas.doctor.deployment import Deployment
from jupyterhub_usage_quotas.errors import QueryRejected

URL = "https://thanos.test:9092"


@pytest.mark.parametrize("buildinfo", [404, 400, 200])
async def test_a_proxy_that_wants_a_parameter_gets_it_from_the_url(buildinfo):
    """As OpenShift's tenancy port and prom-label-proxy refuse a query without one."""
    config = Config()
    config.UsageConfig.prometheus_url = URL
    config.UsageConfig.hub_namespace = "jhub"
    manager = UsageQuotaManager(config=config)
    body = {"status": "success", "data": {"version": "3.0"}} if buildinfo == 200 else {}
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.get(path="/api/v1/status/buildinfo").respond(buildinfo, json=body)
        refused = QueryRejected('HTTP 400: The "namespace" query parameter must be provided.')
        said = await cure(Deployment(config, manager), refused)
    await manager.aclose()
    assert "c.UsageConfig.prometheus_url = '...?namespace=...'" in said
