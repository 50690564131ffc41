"""A price list: what was used, at prices that an admin sets; for machines of one's own."""

from __future__ import annotations

from typing import Final

from ..prices import PriceList
from ..usage_store import UsageStore
from ..values import CostRow
from .base import Bill, Date, SourceState

NAME: Final = "prices"


class Priced:
    """Daily usage at the prices of a list; see `CostSource`."""

    name = NAME
    asks_little = False

    def __init__(self, prices: PriceList, usage: UsageStore) -> None:
        self._prices, self._usage = prices, usage

    async def days(self, since: Date, until: Date) -> Bill:
        """See `CostSource`."""
        rows = []
        known = await self._usage.usage(since, until)
        for day, usage in known.items():
            for hub, used in usage.used.items():
                amounts = (pair for of_user in used.values() for pair in of_user.items())
                for component, cost in self._prices.costs(amounts).items():
                    rows.append(CostRow(day, hub, component, cost, self._prices.currency))
        if not known:
            return Bill([], {}, SourceState.NOT_READY, "no day of usage is kept yet")
        return Bill(rows, dict.fromkeys(known, True))

    async def aclose(self) -> None:
        """See `CostSource`."""
