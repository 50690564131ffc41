"""Calibrating a price list: what the bill of a month says of what users used, beside its prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from .attribute import DayUsage
from .money import EXACT, ZERO
from .prices import PriceList, component_of
from .sources.base import Date
from .values import NOBODY, Allocation, Kind


@dataclass(frozen=True, slots=True)
class Calibration:
    """What servers cost in a time: by the bill as users used them, what of it was idle, and at the
    prices of a list.
    """

    billed: Decimal
    idle: Decimal
    priced: Decimal

    def factor(self, *, with_idle: bool = False) -> Decimal | None:
        """What the prices are to be multiplied with; None where nothing was used or billed."""
        billed = EXACT.add(self.billed, self.idle) if with_idle else self.billed
        if self.priced <= 0 or billed <= 0:
            return None
        return EXACT.divide(billed, self.priced)


def calibrate(
    allocations: Iterable[Allocation], usage: Mapping[Date, DayUsage], prices: PriceList
) -> Calibration:
    """Compare the bill with the prices: of what servers request, on the days of hubs of which both
    the bill and the usage are known.
    """
    servers = {name: one for name, one in prices.resources.items() if one.by_server}
    of_servers = PriceList(prices.prices, prices.currency, servers)
    components = {component_of(servers[name]) for name in prices.prices if name in servers}
    sums = {Kind.USER: ZERO, Kind.IDLE: ZERO}
    billed = set()
    for one in allocations:
        if one.component in components and one.currency == prices.currency and one.kind in sums:
            sums[one.kind] = EXACT.add(sums[one.kind], one.amount)
            billed.add((one.day, one.hub))
    priced = ZERO
    for day, of_day in usage.items():
        for hub, used in of_day.used.items():
            if (day, hub) in billed:
                amounts = (
                    pair for user, of in used.items() if user != NOBODY for pair in of.items()
                )
                for cost in of_servers.costs(amounts).values():
                    priced = EXACT.add(priced, cost)
    return Calibration(sums[Kind.USER], sums[Kind.IDLE], priced)
