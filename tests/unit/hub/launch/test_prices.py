"""What a server costs: by numbers, functions and coroutines of the spawner; checked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from jupyterhub.spawner import SimpleLocalProcessSpawner

from jupyterhub_usage_quotas.hub.credits.authenticator import CreditsSpawner
from jupyterhub_usage_quotas.hub.launch.prices import Price, PriceUnknown, price_of, with_price
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request


class Billing(SimpleLocalProcessSpawner, CreditsSpawner):
    pass


def spawner(options=None, **traits):
    made = Billing(**traits)
    made.user_options = options or {}
    return made


def of_seed(spawner):
    billing_value = 5
    if "gpus" in spawner.user_options:
        billing_value += spawner.user_options["gpus"] * 10
    return billing_value


async def later(_spawner):
    return 7


@pytest.mark.parametrize(
    ("traits", "options", "price"),
    [
        ({}, {}, Price(10 / 600, 10)),
        ({"billing_value": 5}, {}, Price(5 / 600, 5)),
        ({"billing_value": 2.5, "billing_interval": 10}, {}, Price(0.25, 2.5)),
        ({"billing_value": of_seed}, {}, Price(5 / 600, 5)),
        ({"billing_value": of_seed}, {"gpus": 2}, Price(25 / 600, 25)),
        ({"billing_value": later, "billing_interval": later}, {}, Price(1, 7)),
        ({"billing_value": 0}, {}, Price(0, 0)),
        ({"billing_value": None}, {}, Price(0, 0)),
    ],
)
async def test_a_price_is_so_much_per_second(traits, options, price):
    assert await price_of(spawner(options, **traits)) == price


async def test_a_spawner_without_it_has_no_price():
    assert await price_of(SimpleLocalProcessSpawner()) is None


@pytest.mark.parametrize(
    ("traits", "options", "said"),
    [
        # As a form gives it: ["2"] * 10 is a list of ten texts.
        ({"billing_value": of_seed}, {"gpus": ["2"]}, "TypeError"),
        ({"billing_value": of_seed}, {"gpus": "2"}, "TypeError"),
        # Straight from a request to the API.
        ({"billing_value": of_seed}, {"gpus": -100}, "billing_value: got -995"),
        ({"billing_value": of_seed}, {"gpus": 1e300}, "billing_value: got 1e\\+301"),
        ({"billing_value": of_seed}, {"gpus": float("nan")}, "billing_value: got nan"),
        ({"billing_value": lambda _: True}, {}, "billing_value: got True"),
        ({"billing_interval": 0}, {}, "billing_interval: got 0"),
        ({"billing_interval": lambda _: -1}, {}, "billing_interval: got -1"),
        ({"billing_value": lambda _: 1 / 0}, {}, "ZeroDivisionError"),
    ],
)
async def test_what_no_server_can_cost_is_refused(traits, options, said):
    with pytest.raises(PriceUnknown, match=said):
        await price_of(spawner(options, **traits))


async def test_on_a_page_it_is_not_known_then(caplog):
    request = Request(Subject("ada"))
    made = await with_price(spawner(billing_value=lambda _: 1 / 0), request)
    assert made.unknown == {"credits"}
    assert "ZeroDivisionError" in caplog.text
    priced = await with_price(spawner(), request)
    assert priced.rates["credits"] == pytest.approx(10 / 600)
    assert priced.needs == {"credits": 10}


async def test_as_another_choice_of_its_user():
    like = SimpleNamespace(user_options={"gpus": 1}, billing_value=of_seed, billing_interval=600)
    assert await price_of(spawner(), like) == Price(15 / 600, 15)
