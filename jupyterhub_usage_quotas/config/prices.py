"""The options about prices: of resources in credits, and in money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from babel.numbers import get_currency_precision
from traitlets import Dict, Float, TraitError, Unicode, default, validate
from traitlets.config import LoggingConfigurable

from ..costs.prices import Prices, price_of_base
from ..quotas.messages import not_among, wrong
from ..quotas.resource import Resource
from ..quotas.resources import COST, Resources, in_currency
from .traits import Anything

CURRENCY_LETTERS: Final = 3
LARGEST_PRICE: Final = 10**6
SMALLEST_FACTOR, LARGEST_FACTOR = 0.001, 1000.0


class PriceOptions(LoggingConfigurable):
    """What resources cost."""

    credit_prices = Anything(
        help="""
        What `credits` cost: credits per hour of one GiB of memory, CPU, GPU, or server (time), for
        example {"cpu": 1, "memory": 0.25, "gpu": 10}.
        """
    ).tag(config=True)

    @default("credit_prices")
    def _credit_prices_default(self) -> dict[str, float]:
        return {}

    @validate("credit_prices")
    def _none_is_empty(self, proposal: Any) -> Any:
        return {} if proposal.value is None else proposal.value

    prices = Dict(
        help="""
        What resources cost in money: a GiB-hour of memory, an hour of a CPU, GPU, or server (time),
        a GB-month of storage, for example {"cpu": 0.032, "memory": 0.0042, "gpu": 0.95}.

        Users see what the server costs that they are about to start, and policies can limit `cost`.
        For the cost monitor's source "prices" they are the bill; with its other sources they are
        how much each resource weighs where one bill is for several. The cost monitor's default is
        what they cost in large clouds; for users and policies there is none.
        """
    ).tag(config=True)

    price_currency = Unicode(
        "USD", help="The currency of `prices`, of policies on `cost`, and of what OpenCost says."
    ).tag(config=True)

    price_factor = Float(
        1.0,
        help="""
        What `prices` are multiplied with, so that they come to what the bill says. The command
        `jupyterhub-usage-quotas calibrate` works it out from the bill of the last full month.
        """,
    ).tag(config=True)

    @validate("prices")
    def _are_prices(self, proposal: Any) -> dict[str, Any]:
        for name, price in proposal.value.items():
            if name not in self.priced:
                what = wrong("no resource with a price", name)
                raise TraitError(not_among(what, str(name), self.priced))
            is_number = isinstance(price, int | float) and not isinstance(price, bool)
            if not (is_number and 0 <= price <= LARGEST_PRICE):
                raise TraitError(wrong(f"price of {name}", price, "a number that is not negative"))
        return dict(proposal.value)

    @validate("price_currency")
    def _is_a_currency(self, proposal: Any) -> str:
        code = str(proposal.value)
        if not (code.isascii() and code.isalpha() and code.isupper()):
            raise TraitError(wrong(got=code, expected="a code of ISO 4217, for example 'USD'"))
        if len(code) != CURRENCY_LETTERS:
            raise TraitError(wrong(got=code, expected="a code of ISO 4217, for example 'USD'"))
        return code

    @validate("price_factor")
    def _is_a_factor(self, proposal: Any) -> float:
        factor = float(proposal.value)
        if not SMALLEST_FACTOR <= factor <= LARGEST_FACTOR:
            expected = f"a number from {SMALLEST_FACTOR:g} to {LARGEST_FACTOR:g}"
            raise TraitError(wrong(got=factor, expected=expected))
        return factor

    @property
    def priced(self) -> Resources:
        """The resources that can have a price."""
        built_in: Resources = getattr(self, "BUILT_IN", {})
        return {name: one for name, one in built_in.items() if not one.bought}

    @property
    def given_prices(self) -> Prices:
        """The configured prices, by the factor; empty where there are none."""
        factor = Decimal(str(self.price_factor))
        return {name: Decimal(str(price)) * factor for name, price in self.prices.items()}

    @property
    def launch_prices(self) -> Mapping[str, Mapping[str, float]]:
        """What a base unit costs of what servers request, as a `PolicySet` has prices."""
        known = self.priced
        exact: Mapping[str, Fraction] = {
            name: price_of_base(known[name], price)
            for name, price in self.given_prices.items()
            if price and known[name].by_server
        }
        return {COST.name: {name: float(price) for name, price in exact.items()}} if exact else {}

    @property
    def fixed_prices(self) -> Mapping[str, Mapping[str, float]]:
        """Those at which a launch is priced once and for all: where the session log keeps it."""
        return self.launch_prices if getattr(self, "counts_sessions", False) else {}

    def in_prices(self, resources: Resources) -> Resources:
        """The same in the currency of prices. What is fixed at launch is not bought any more: it
        has usage of its own.
        """
        decimals = get_currency_precision(self.price_currency)
        money: Resource = in_currency(resources[COST.name], self.price_currency, decimals)
        bought = not self.fixed_prices
        return {**resources, COST.name: replace(money, bought=bought)}
