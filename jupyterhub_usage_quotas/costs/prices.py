"""Prices of resources: what a unit of each costs, or weighs beside others."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from ..quotas.resource import Resource
from ..quotas.resources import RESOURCES, Resources
from .attribute import Weights
from .components import COMPUTE, HOME
from .money import EXACT, PART_DECIMALS, ZERO, total

Prices = Mapping[str, Decimal]
"""What a `priced_unit` of each resource costs."""

USUAL_PRICES: Prices = {
    one.name: Decimal(one.usual_price) for one in RESOURCES.values() if one.usual_price
}


def price_of_base(resource: Resource, price: Decimal) -> Fraction:
    """The exact price of one base unit."""
    _, size = resource.priced_unit
    return Fraction(price) / Fraction(size)


def price_of_a_unit(resource: Resource, price: Decimal) -> Fraction:
    """The exact price of one whole unit of daily usage."""
    return price_of_base(resource, price) * Fraction(str(resource.daily_unit))


def component_of(resource: Resource) -> str:
    """The component that is used by a resource."""
    return HOME if resource.is_gauge else COMPUTE


def weights_of(
    prices: Prices,
    resources: Resources = RESOURCES,
    more: Mapping[str, Collection[str]] | None = None,
) -> Mapping[str, Weights]:
    """The drivers of each component: what a unit of each resource weighs, as whole numbers in the
    proportions of the prices. `more` are other components, and the resources that they are used by.
    """
    drivers: dict[str, list[str]] = {}
    for name, price in prices.items():
        if price > 0 and name in resources:
            drivers.setdefault(component_of(resources[name]), []).append(name)
    for component, names in (more or {}).items():
        drivers[component] = [name for name in names if prices.get(name, ZERO) > 0]
    return {
        component: _whole({name: price_of_a_unit(resources[name], prices[name]) for name in names})
        for component, names in drivers.items()
        if names
    }


def _whole(fractions: Mapping[str, Fraction]) -> Weights:
    common = math.lcm(*(one.denominator for one in fractions.values()))
    return {name: int(one * common) for name, one in fractions.items()}


@dataclass(frozen=True, slots=True)
class PriceList:
    """What resources cost, in one currency."""

    prices: Prices
    currency: str
    resources: Resources

    def costs(self, amounts: Iterable[tuple[str, int]]) -> Mapping[str, Decimal]:
        """What these amounts of resources (in whole units) cost, by component."""
        parts: dict[str, list[Decimal]] = {}
        for name, amount in amounts:
            if (price := self.prices.get(name)) and (resource := self.resources.get(name)):
                exact = price_of_a_unit(resource, price) * amount
                rounded = Decimal(round(exact * 10**PART_DECIMALS))
                cost = EXACT.scaleb(rounded, -PART_DECIMALS)
                parts.setdefault(component_of(resource), []).append(cost)
        return {component: total(costs) for component, costs in parts.items()}
