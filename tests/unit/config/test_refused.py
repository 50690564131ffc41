"""What was once accepted, and cannot work: refused with its name, or doubted."""

from __future__ import annotations

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.errors import ConfigurationError


def options(section: str, **given: object) -> QuotaOptions:
    return QuotaOptions(config=Config({section: given}))


def error(section: str, **given: object) -> str:
    with pytest.raises(ConfigurationError) as refused:
        options(section, **given)
    (one,) = refused.value.errors
    return one


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"stale_after": 40.0}, "stale_after does not go with refresh_interval"),
        (
            {"stale_after": 60.0, "refresh_interval": 3600.0},
            "expected at least 3660, a minute more",
        ),
        ({"stale_after": 1e-9}, "stale_after"),
        ({"refresh_interval": 1e15}, "refresh_interval"),
        ({"deadline": 1e15}, "deadline"),
        ({"deadline": 0}, "deadline"),
        ({"deadline": -1}, "deadline"),
        ({"deadline": True}, "deadline: got True; expected a number of seconds"),
        ({"deadline": float("nan")}, "deadline"),
        ({"request_timeout": float("inf")}, "request_timeout"),
        ({"max_gap": "60"}, "max_gap: got '60'; expected"),
    ],
)
def test_times_that_cannot_be_or_do_not_go_together(given, says):
    said = error("UsageConfig", **given)
    assert said.startswith("UsageConfig")
    assert says in said


@pytest.mark.parametrize(
    ("given", "doubted"),
    [
        ({"request_timeout": 60.0}, "request_timeout is longer than deadline"),
        ({"max_gap": 60.0, "prometheus_scrape_interval": 120.0}, "max_gap is shorter than"),
        ({"request_timeout": 5.0}, ""),
        ({"stale_after": 1200.0, "refresh_interval": 300.0}, ""),
    ],
)
def test_times_that_can_hardly_be_meant_together(given, doubted):
    lines = list(options("UsageConfig", **given).doubts_together())
    assert len(lines) == bool(doubted)
    assert all(doubted in line for line in lines)


@pytest.mark.parametrize(
    "namespace",
    ['a"} or up{x="', "hub-*", "Hub", "hub ", "hub\n", "-hub", "hub.ns", "x" * 64, 7, ["hub"]],
)
def test_what_is_no_namespace_of_kubernetes(namespace):
    assert error("UsageConfig", hub_namespace=namespace).startswith("UsageConfig.hub_namespace: ")


@pytest.mark.parametrize("names", [[""], ["*"], [7], {}, None])
def test_what_is_no_list_of_devices(names):
    assert "gpu_resources" in error("UsageConfig", gpu_resources=names)


@pytest.mark.parametrize("value", [None, "", "Enforce", "on", True, 0])
def test_what_is_no_way_to_enforce(value):
    said = error("UsageQuotaManager", enforcement=value)
    assert said.startswith("UsageQuotaManager.enforcement: ")
    assert repr(value) in said
    assert "enforce" in said.partition("expected")[2]
