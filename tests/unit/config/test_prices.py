"""The options about prices in money."""

from __future__ import annotations

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.costs import CostMonitor
from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.errors import ConfigurationError

GIB = 2.0**30
COURSE = {"resource": "cost", "limit": "200 CHF", "window": 7, "scope": {"everyone": True}}


def made(policy: object = (), **options: object) -> QuotaOptions:
    config = Config()
    config.UsageConfig.prometheus_url = "http://prometheus.test"
    config.UsageConfig.update(options)
    config.UsageQuotaManager.policy = list(policy)  # type: ignore[call-overload]
    return QuotaOptions(config=config)


def test_prices_are_per_hour_and_for_what_servers_request():
    prices = {"memory": 0.0036, "cpu": 0.036, "time": 3.6, "storage": 5, "gpu": 0}
    quotas = made([COURSE], prices=prices, price_currency="CHF", price_factor=2)
    per_second = quotas.policies.prices_of("cost")
    assert per_second == pytest.approx({"memory": 2e-6 / GIB, "cpu": 2e-5, "time": 2e-3})
    (policy,) = quotas.policies
    assert (policy.limit.value, policy.limit.unit.symbol) == (200, "CHF")
    assert quotas.policies.all_measured == {"memory", "cpu", "time"}


def test_the_session_log_has_what_was_fixed_at_launch():
    quotas = made(
        [COURSE],
        prices={"cpu": 1},
        price_currency="CHF",
        usage_source="sessions",
        ledger_url="sqlite:////nowhere/x.sqlite",
    )
    assert quotas.policies.all_measured == {"cost"}
    (log,) = quotas.make_session_logs()
    assert log.fixed == {"cost": {"cpu": 1 / 3600}}
    other = made(
        prices={"cpu": 2}, usage_source="sessions", ledger_url="sqlite:////nowhere/x.sqlite"
    )
    # What was launched before costs something else now: what was read of it is read again.
    assert log.identity != other.make_session_logs()[0].identity
    without = made(
        usage_source="sessions", ledger_url="sqlite:////nowhere/x.sqlite"
    ).make_session_logs()[0]
    assert without.identity.endswith("')")


def test_policies_that_are_tried_have_the_same_prices():
    quotas = made(prices={"cpu": 1}, price_currency="CHF")
    assert quotas.in_place([COURSE]).prices_of("cost") == {"cpu": 1 / 3600}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"price_currency": "CHF"}, "UsageConfig.prices: is empty, so servers cost nothing"),
        ({"prices": {"storage": 1}, "price_currency": "CHF"}, "UsageConfig.prices: is empty"),
        (
            {"prices": {"cpu": 1}},
            "limit: not a unit of cost: got 'CHF'; expected for example '200 USD'",
        ),
        ({"prices": {"cpus": 1}}, "cpus"),
        ({"prices": {"credits": 1}}, "credits"),
        ({"prices": {"cost": 1}}, "cost"),
        ({"prices": {"cpu": "1"}}, "price of cpu"),
        ({"prices": {"cpu": float("nan")}}, "price of cpu"),
        ({"price_currency": "francs"}, "ISO 4217"),
        ({"price_currency": "<b>"}, "ISO 4217"),
        ({"price_factor": 0}, "a number from 0.001 to 1000"),
        ({"price_factor": float("nan")}, "a number from 0.001 to 1000"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, said):
    with pytest.raises(ConfigurationError) as refused:
        made([COURSE], **options)
    assert said in str(refused.value)


def test_the_cost_monitor_has_the_same_prices_and_its_own_section():
    config = Config()
    config.UsageConfig.prices = {"cpu": 1}
    config.UsageConfig.price_factor = 1.5
    assert float(CostMonitor(config=config).all_prices["cpu"]) == 1.5
    config.CostMonitor.prices = {"cpu": 2}
    assert float(CostMonitor(config=config).all_prices["cpu"]) == 3
    assert CostMonitor().all_prices.keys() == {"memory", "cpu", "gpu", "storage"}
