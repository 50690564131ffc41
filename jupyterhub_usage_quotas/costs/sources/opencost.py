"""OpenCost: what it allocates to the namespaces of a cluster, and what was idle.

These are list prices, unless OpenCost is connected with the bill of the cloud.
API: https://www.opencost.io/docs/integrations/api
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import httpx

from ...quotas.messages import shown
from ..components import COMPUTE, HOME, NETWORKING, OTHER
from ..money import EXACT, InvalidAmount, read_amount, total
from ..values import CLUSTER, IDLE_COMPONENT, CostRow
from .base import DAY, Bill, CostsUnknown, Date, SourceState

NAME: Final = "opencost"
PATIENCE: Final = 60
REACH: Final = 30 * DAY
"""How far back it is asked: it keeps no more than Prometheus does."""
IDLE: Final = "__idle__"
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    COMPUTE: ("cpuCost", "ramCost", "gpuCost"),
    HOME: ("pvCost",),
    NETWORKING: ("networkCost", "loadBalancerCost"),
}
"""The costs of each component; what else is in the sum is other."""


class OpenCost:
    """The costs that an OpenCost in the cluster reports; see `CostSource`.

    `hubs` are the names of hubs by their namespace; what is in other namespaces is the cluster's.
    """

    name = NAME
    asks_little = True

    def __init__(
        self,
        url: str,
        hubs: Mapping[str, str],
        currency: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._hubs, self._currency = hubs, currency
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/") + "/", timeout=PATIENCE, transport=transport
        )

    async def days(self, since: Date, until: Date) -> Bill:
        """See `CostSource`."""
        rows: list[CostRow] = []
        days = {}
        day = max(since, until - REACH)
        while day < until:
            found = list(self._rows(day, await self._allocations(day)))
            if found:  # it has nothing yet, or nothing any more, of a day without any allocation
                rows += found
                days[day] = True
            day += DAY
        if not days:
            why = f"OpenCost has no costs of {since} to {until - DAY}"
            return Bill(rows, days, SourceState.NOT_READY, why)
        return Bill(rows, days)

    async def aclose(self) -> None:
        """See `CostSource`."""
        await self._http.aclose()

    async def _allocations(self, day: Date) -> Mapping[str, Any]:
        asked = {
            "window": f"{day}T00:00:00Z,{day + DAY}T00:00:00Z",
            "aggregate": "namespace",
            "accumulate": "true",
            "includeIdle": "true",
            "shareIdle": "false",
        }
        try:
            answer = await self._http.get("allocation", params=asked)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            what = f"OpenCost: {type(error).__name__}: {shown(str(error))}"
            raise CostsUnknown(SourceState.UNREACHABLE, what) from None
        if answer.status_code in (401, 403):
            raise CostsUnknown(SourceState.DENIED, f"OpenCost: HTTP {answer.status_code}")
        try:
            # As they are written: a float is not what a bill says.
            document = json.loads(answer.text, parse_float=Decimal)
            if not answer.is_success or document["code"] != httpx.codes.OK:
                raise CostsUnknown(SourceState.FAILED, f"OpenCost: HTTP {answer.status_code}")
            of_day = document["data"]
            found: Mapping[str, Any] = (of_day[0] if of_day else None) or {}
            dict(found)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            what = f"OpenCost: {type(error).__name__}: {shown(str(error))}"
            raise CostsUnknown(SourceState.BAD_ANSWER, what) from None
        return found

    def _rows(self, day: Date, allocations: Mapping[str, Any]) -> Iterator[CostRow]:
        try:
            for name, costs in allocations.items():
                for component, amount in _components(name, costs or {}).items():
                    hub = self._hubs.get(name, CLUSTER)
                    if amount:
                        yield CostRow(day, hub, component, amount, self._currency, True, name)
        except (InvalidAmount, TypeError, AttributeError) as error:
            what = f"OpenCost: {type(error).__name__}: {shown(str(error))}"
            raise CostsUnknown(SourceState.BAD_ANSWER, what) from None


def _components(name: str, costs: Mapping[str, Any]) -> Mapping[str, Decimal]:
    def cost(one: str) -> Decimal:
        return read_amount(costs.get(one) or 0)

    whole = cost("totalCost")
    if name == IDLE:
        return {IDLE_COMPONENT: whole}
    parts = {component: total(map(cost, names)) for component, names in PARTS.items()}
    return {**parts, OTHER: EXACT.subtract(whole, total(parts.values()))}
