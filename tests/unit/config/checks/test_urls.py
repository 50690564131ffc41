"""Addresses: the wrong ones are refused with the right form, parameters go with every request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
import respx
from traitlets.config import Config

from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.config.viewer import make_viewer
from jupyterhub_usage_quotas.errors import ConfigurationError

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def options(url: str) -> QuotaOptions:
    return QuotaOptions(config=Config({"UsageConfig": {"prometheus_url": url}}))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://prometheus 9090", "has a space or line break: got 'http://prometheus 9090'"),
        (" http://prometheus:9090", "has a space or line break"),
        (
            "http://prometheus:9090\n",
            "has a space or line break: got 'http://prometheus:9090\\\\n'",
        ),
        ("http://prometheus:port", "wrong port: got 'http://prometheus:port'; expected a number"),
        ("http://prometheus:99999", "wrong port"),
        ("http://prometheus:0", "wrong port"),
        ("http://prometheus:-1", "wrong port"),
        (
            "http://prometheus:9090#graph",
            "has a fragment: got 'http://prometheus:9090#graph'; expected",
        ),
        (
            "http://prometheus:9090/api/v1",
            "is appended: got 'http://prometheus:9090/api/v1'; expected 'http://prometheus:9090'",
        ),
        ("http://p/prometheus/api/v1/", "expected 'http://p/prometheus'"),
        ("http://p/x/api/v1/query", "expected 'http://p/x'"),
        ("http://p/graph", "expected 'http://p'"),
        ("http://p/graph?namespace=jhub", "expected 'http://p?namespace=...'"),
        ("http://p/graph?g0.expr=up&g0.tab=0", "expected 'http://p'"),
        ("http://p/query?g0.expr=up&namespace=x&g1.expr=a", "expected 'http://p?namespace=...'"),
        ("http://p/api/v1/query?query=up&time=1", "expected 'http://p'"),
        ("http://p/api/v1/series?match[]=up", "expected 'http://p'"),
        ("http://p/api/v1/series?match%5B%5D=up&tenant=x", "expected 'http://p?tenant=...'"),
        ("http://p/x/api/v1/label/__name__/values", "expected 'http://p/x'"),
        ("http://p/API/V1", "expected 'http://p'"),
        ("http://p//api/v1//", "expected 'http://p'"),
        ("http://p/prometheus/api/prom/api/v1/query_range", "expected 'http://p/prometheus/api/p"),
        ("http://p/classic/graph", "expected 'http://p'"),
        ("http://p/new/targets/", "expected 'http://p'"),
        ("http://p/metrics", "expected 'http://p'"),
        ("http://p/prometheus/metrics", "expected 'http://p/prometheus'"),
        ("http://p/targets?search=x", "expected 'http://p'"),
        ("http://p/alerts", "expected 'http://p'"),
        ("http://p/x/-/healthy", "expected 'http://p/x'"),
        ("http://p/federate?match[]=up", "expected 'http://p'"),
        ("http://p/tsdb-status", "expected 'http://p'"),
        ("http://p/service-discovery", "expected 'http://p'"),
        ("http://p/consoles/node.html", "expected 'http://p'"),
        ("http://p/vmui/", "expected 'http://p'"),
        ("http://p/vmui/?#/?g0.expr=up", "expected 'http://p'"),
        ("http://p/select/0/prometheus/vmui", "expected 'http://p/select/0/prometheus'"),
        ("http://u:s3cret@p/graph?token=s3cret", "expected 'http://p?token=...'"),
        ("http://g/d/abc/usage?orgId=1", "is a page of Grafana: got 'http://g/d/abc/usage?orgId"),
        ("http://g/explore?left=x", "is a page of Grafana"),
        ("http://g/grafana/dashboards", "expected the address of its Prometheus"),
        ("prometheus:9090", "not a URL"),
        ("http://", "not a URL"),
        ("http://[::1", "not a URL"),
        ("http://a..b", "not a URL"),
        ("http://-a", "not a URL"),
        ("http://xn--a.example", "not a URL"),
        ("http://xn--99999999999.example", "not a URL"),
        (f"http://{'a' * 64}.org", "not a URL"),
        ("http://p?namespace", "wrong parameter in the URL: got 'namespace'; expected name=value"),
        ("http://p?=x", "wrong parameter in the URL"),
        ("http://p?query=up", "parameter that each request sets itself: got 'query'"),
        # What Grafana Cloud, and others, show first is where samples are pushed to.
        ("https://p.grafana.net/api/prom/push", "expected 'https://p.grafana.net/api/prom'"),
        ("http://p/starting", "expected 'http://p'"),
        ("http://p/agent", "expected 'http://p'"),
        ("http://p/rules?", "got 'http://p/rules?'; expected 'http://p'"),
        ("http://p/alerts?state=firing", "expected 'http://p'"),
        ("http://p/targets?pool=hub&health=down", "expected 'http://p'"),
        ("http://g/connections/datasources/edit/abc", "is a page of Grafana"),
        ("http://g/grafana/datasources/edit/abc", "is a page of Grafana"),
        ("http://g/alerting/list", "is a page of Grafana"),
        # Such characters of a password end the host.
        ("http://u:s3cret#x@p:9090", "write %23 for #, %2F for / and %3F for ?"),
        ("http://u:s3cret/x@p:9090", "write %23 for #, %2F for / and %3F for ?"),
        ("http://u:s3cret?x@p:9090", "write %23 for #, %2F for / and %3F for ?"),
        ("http://u:s3cret/@p:99999", "got 'http://p:99999'"),
        ("http://u:s3cret#x@p:99999", "got 'http://p:99999'"),
        ("https://p:99999?token=s3cret", "got 'https://p:99999?token=...'"),
    ],
)
def test_a_wrong_address_of_prometheus_is_refused_with_the_right_form(url, says):
    with pytest.raises(ConfigurationError) as refused:
        options(url)
    (error,) = refused.value.errors
    assert error.startswith("UsageConfig.prometheus_url: ")
    assert says.replace("\\\\", "\\") in error
    assert "s3cret" not in error


@pytest.mark.parametrize(
    ("url", "asked", "shown"),
    [
        ("http://p:9090", "http://p:9090/api/v1/query", "http://p:9090"),
        ("http://p:9090/", "http://p:9090/api/v1/query", "http://p:9090/"),
        ("https://p/prefix/", "https://p/prefix/api/v1/query", "https://p/prefix/"),
        ("http://[::1]:9090", "http://[::1]:9090/api/v1/query", "http://[::1]:9090"),
        (
            "https://thanos.openshift-monitoring.svc:9092?namespace=jhub",
            "https://thanos.openshift-monitoring.svc:9092/api/v1/query?namespace=jhub",
            "https://thanos.openshift-monitoring.svc:9092?namespace=...",
        ),
        (
            "https://p/x/?a=1&a=2&b=c%26d&empty=",
            "https://p/x/api/v1/query?a=1&a=2&b=c%26d&empty=",
            "https://p/x/?a=...&a=...&b=...&empty=...",
        ),
        # addresses that look like pages
        ("http://g/api/prom", "http://g/api/prom/api/v1/query", "http://g/api/prom"),
        ("http://g/data/metrics", "http://g/data/metrics/api/v1/query", "http://g/data/metrics"),
        (
            "http://g/api/datasources/proxy/uid/abc",
            "http://g/api/datasources/proxy/uid/abc/api/v1/query",
            "http://g/api/datasources/proxy/uid/abc",
        ),
        (
            "http://v/select/0/prometheus",
            "http://v/select/0/prometheus/api/v1/query",
            "http://v/select/0/prometheus",
        ),
        ("http://u:p%40w@p?n=1", "http://p/api/v1/query?n=1", "http://p?n=..."),
        (
            "http://bücher.example",
            "http://xn--bcher-kva.example/api/v1/query",
            "http://bücher.example",
        ),
    ],
)
async def test_parameters_of_the_address_go_with_every_request(url, asked, shown):
    """As OpenShift's tenancy port and prom-label-proxy want it."""
    made = options(url)
    assert made.shown_prometheus_url == shown
    client = made.make_client()
    with respx.mock(assert_all_called=False) as router:
        route = router.route().mock(side_effect=lambda _request: httpx.Response(404))
        for query in (
            client.query("up", NOW),
            client.query_range("up", NOW - timedelta(hours=1), NOW, timedelta(minutes=1)),
        ):
            with pytest.raises(Exception, match="404"):
                await query
        await client.page("status/buildinfo")
    await client.aclose()
    urls = [call.request.url for call in route.calls]
    assert str(urls[0]) == asked
    assert [one.path.rpartition("/")[2] for one in urls] == ["query", "query_range", "buildinfo"]
    assert len({one.query for one in urls}) == 1
    assert "Authorization" not in route.calls[0].request.headers or "@" in url


def test_a_place_that_is_to_be_filled_in_is_doubted():
    made = options("http://<service>.<namespace>.svc.cluster.local")
    (line,) = made.doubts()
    assert line.startswith("UsageConfig.prometheus_url still has a placeholder in angle brackets")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("url", "http://127.0.0.1:99999", "wrong port"),
        ("url", "http://", "not a URL"),
        ("url", "http://hub:9000?x=1", "has more than a host and a port"),
        ("url", "http://user:s3cret@hub:9000", "has more than a host and a port"),
        ("service_host", "hub 1", "expected a host"),
        ("service_host", "hub:9000", "expected a host"),
        ("service_port", 65536, "got 65536; expected a port"),
        ("service_port", -1, "got -1; expected a port"),
        ("service_port", "9000", "got '9000'; expected a port"),
        ("service_port", True, "got True; expected a port"),
        ("service_prefix", "services/usage-quota", "got 'services/usage-quota'; expected"),
    ],
)
def test_a_wrong_address_of_the_dashboard_is_refused(option, value, says):
    with pytest.raises(ConfigurationError) as refused:
        make_viewer(Config({"UsageViewer": {option: value}}))
    (error,) = refused.value.errors
    assert error.startswith(f"UsageViewer.{option}: ")
    assert says in error
    assert "s3cret" not in error
