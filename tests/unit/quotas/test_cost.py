"""Quotas in money: what a server costs is worked out by a price list, exactly and at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as some

from jupyterhub_usage_quotas.quotas.decide import Outcome, decide
from jupyterhub_usage_quotas.quotas.policy.errors import InvalidPolicies
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.resources import RESOURCES, in_currency
from jupyterhub_usage_quotas.quotas.sessions import Session
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.units import show
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Unknown, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR, GIB = 3600.0, 2.0**30
PRICES = {"cost": {"memory": 0.005 / GIB / HOUR, "cpu": 0.04 / HOUR}}
ADA = Subject("ada")
SERVER = Request(ADA, rates={"memory": 4 * GIB, "cpu": 2.0, "time": 1.0})
"""It costs 10 cents an hour: 2 of memory, 8 of CPU."""
BILLED = {**RESOURCES, "cost": replace(RESOURCES["cost"], bought=False)}


def policies(limit="200 USD", *, resources=RESOURCES, prices=PRICES, **more):
    entry = {"resource": "cost", "limit": limit, "window": 1, "scope": {"everyone": True}}
    return parse_policies([entry | more], built_in=resources, bought_at=prices, failover_open=False)


def used(hours: float, rate: float) -> Fresh:
    end = NOW.timestamp()
    amount = rate * hours * HOUR
    return Fresh(Usage((Bucket(end - hours * HOUR, end, amount),) if amount else (), NOW))


def decided(of_policies, request=SERVER, **readings):
    return decide(of_policies, readings, request, NOW)


@pytest.mark.parametrize(
    ("hours", "outcome"), [(9, Outcome.ALLOWED), (10, Outcome.DENIED), (11, Outcome.DENIED)]
)
def test_what_is_used_costs_at_the_prices(hours, outcome):
    """A dollar is used up in ten hours of two CPUs and 4 GiB."""
    readings = {"memory": used(hours, 4 * GIB), "cpu": used(hours, 2)}
    decision = decided(policies("1 USD"), **readings)
    assert decision.outcome is outcome
    assert decision.verdicts[0].used == pytest.approx(hours / 10)


def test_a_launch_needs_what_its_minimum_session_costs():
    readings = {"memory": used(9.5, 4 * GIB), "cpu": used(9.5, 2)}
    for minutes, outcome in ((30, Outcome.ALLOWED), (31, Outcome.DENIED)):
        of_policies = policies("1 USD", minimum_session=f"{minutes} minutes")
        assert decided(of_policies, **readings).outcome is outcome


def test_what_is_fixed_at_launch_counts_as_it_was_and_not_at_the_prices_of_now():
    """The log has twice of what the same would cost now."""
    fixed = policies("1 USD", resources=BILLED)
    assert fixed.all_measured == {"cost"}
    decision = decided(fixed, cost=used(5, 0.2 / HOUR))
    assert decision.outcome is Outcome.DENIED
    assert decision.verdicts[0].used == pytest.approx(1)


def test_a_launch_is_priced_once():
    fixed = policies(resources=BILLED)
    priced = SERVER.priced(fixed)
    assert priced.rates["cost"] * HOUR == pytest.approx(0.1)
    dearer = policies(
        resources=BILLED, prices={"cost": {"cpu": 1 / HOUR}}, minimum_session="10 minutes"
    )
    assert priced.rate("cost", dearer) == priced.rates["cost"]
    assert SERVER.rate("cost", dearer) == pytest.approx(2 / HOUR)
    # Where usage counts at the prices of now, nothing is fixed.
    assert SERVER.priced(policies()) == SERVER


def test_of_what_is_requested_and_not_known_it_is_not_known_what_it_costs():
    unread = replace(SERVER, unknown=frozenset({"memory"}))
    fixed = policies(resources=BILLED)
    assert unread.priced(fixed).unknown == {"memory", "cost"}
    for request in (unread, unread.priced(fixed)):
        assert decided(fixed, request, cost=used(1, 0.0)).outcome is Outcome.FAILOVER_CLOSED
    gpu = replace(SERVER, unknown=frozenset({"gpu"}))
    assert decided(fixed, gpu.priced(fixed), cost=used(1, 0.0)).outcome is Outcome.ALLOWED


def test_what_costs_are_made_of_must_be_known():
    away = Unknown("timeout", "no answer")
    decision = decided(policies(), memory=used(1, GIB), cpu=away)
    assert decision.outcome is Outcome.FAILOVER_CLOSED


def test_what_was_launched_before_there_were_prices_costs_what_it_would_now():
    before = Session("x", "", "ada", "", 0, 60, rates={"cpu": 2.0, "time": 1.0})
    assert before.rates_at(PRICES)["cost"] == pytest.approx(0.08 / HOUR)
    after = replace(before, rates={"cpu": 2.0, "cost": 7.0})
    assert after.rates_at(PRICES) == {"cpu": 2.0, "cost": 7.0}
    assert before.rates_at({}) == before.rates


@given(
    prices=some.dictionaries(some.sampled_from(["cpu", "gpu", "time"]), some.integers(1, 10**6)),
    rates=some.dictionaries(some.sampled_from(["cpu", "gpu", "time"]), some.integers(0, 64)),
)
def test_the_price_of_a_server_is_the_sum_over_what_it_requests(prices, rates):
    exact = sum(Fraction(price) * rates.get(name, 0) for name, price in prices.items())
    request = Request(ADA, rates=rates)
    if prices:
        assert Fraction(request.rate("cost", policies(prices={"cost": prices}))) == exact


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("200 EUR", "200 USD"),
        ("200", "unit"),
        (200, "unit"),
        ("200 USD-hours", "200 USD"),
        ("-1 USD", "negative"),
        ("0.0000001 USD", "small"),
    ],
)
def test_a_limit_in_another_currency_is_refused(limit, said):
    with pytest.raises(InvalidPolicies, match=said):
        policies(limit)


def test_a_quota_in_money_needs_prices():
    with pytest.raises(InvalidPolicies, match="prices: is empty, so servers cost nothing"):
        policies(prices={})


@pytest.mark.parametrize(
    ("currency", "decimals", "amount", "said"),
    [
        ("USD", 2, 12.5, "12.50 USD"),
        ("USD", 2, 1234.567, "1,234.57 USD"),
        ("USD", 2, 0.5, "0.50 USD"),
        ("USD", 2, 0.0423, "0.0423 USD"),
        ("USD", 2, 0.0, "0.00 USD"),
        ("USD", 2, 200.0, "200.00 USD"),
        ("JPY", 0, 1500.0, "1,500 JPY"),
        ("KWD", 3, 1.5, "1.500 KWD"),
    ],
)
def test_money_has_its_decimals(currency, decimals, amount, said):
    cost = in_currency(RESOURCES["cost"], currency, decimals)
    assert show(amount, cost.quantity(f"1 {currency}").unit) == said
    assert cost.show(amount) == said
