"""`calibrate`: by how much the bill of a month differs from the price list."""

from __future__ import annotations

import argparse
import asyncio
from decimal import Decimal
from typing import Any, Final

from ..config.costs import CostMonitor, make_cost_monitor
from ..config.prices import LARGEST_FACTOR, SMALLEST_FACTOR
from ..costs.calibration import Calibration, calibrate
from ..costs.cost_store import CostStore
from ..costs.known import Attribution, Costs
from ..costs.money import EXACT
from ..costs.months import Span
from ..costs.prices import PriceList
from ..costs.sources import price_list
from ..costs.usage_store import UsageStore
from ..errors import ConfigurationError
from ..quotas.messages import wrong
from .month import add_month_options, configured, database_of
from .opened import NOT_KNOWN, exit_code_of, note

DIGITS: Final = Decimal("0.001")
CENT: Final = Decimal("0.01")


def add_calibrate(commands: Any) -> None:
    """Add the command to the command line's."""
    command = commands.add_parser(
        "calibrate",
        help="compare the price list with the bill of a month",
        description="Compares what servers cost at `prices` with what the bill of a month says of"
        " them, and prints the `price_factor` by which they agree. It changes nothing. Exit code: 0"
        " done, 2 refused, 4 the bill or the usage of the month is not known, or an estimate yet.",
    )
    add_month_options(command)
    command.add_argument(
        "--with-idle",
        action="store_true",
        help="let users' prices cover what is idle, too",
    )
    command.set_defaults(run=lambda options: exit_code_of(_run, options))


def _run(options: argparse.Namespace) -> int:
    monitor = make_cost_monitor(configured(options.config))
    if not monitor.prices:
        expected = "for example {'cpu': 0.032, 'memory': 0.0042}"
        raise ConfigurationError([wrong("UsageConfig.prices", {}, expected)])
    if set(monitor.sources) <= {price_list.NAME}:
        expected = "also the source of a bill; by itself the price list says what it says"
        raise ConfigurationError([wrong("CostMonitor.sources", list(monitor.sources), expected)])
    span: Span = options.month
    found = asyncio.run(_of_month(monitor, span))
    if isinstance(found, str):
        note(found)
        return NOT_KNOWN
    return _print(found, monitor, span, with_idle=options.with_idle)


async def _of_month(monitor: CostMonitor, span: Span) -> Calibration | str:
    """The comparison, or why there is none."""
    async with database_of(monitor) as database:
        sources = [one for one in monitor.sources if one != price_list.NAME]
        usage = UsageStore(database)
        costs = Costs(CostStore(database), usage, sources, Attribution(monitor.rules))
        if missing := await costs.missing(span):
            return f"no costs are kept of {len(missing)} days, the first of them {missing[0]}"
        allocations = await costs.allocations(span, by_user=False)
        if estimates := {one.day for one in allocations if not one.final}:
            days = f"{len(estimates)} days, the first of them {min(estimates)}"
            return f"the bill is an estimate yet of {days}; try again some days later"
        unpriced = {name: Decimal(str(price)) for name, price in monitor.prices.items()}
        prices = PriceList(unpriced, monitor.price_currency, monitor.priced)
        used = await usage.usage(span.since, span.until, by_user=False)
        return await asyncio.to_thread(calibrate, allocations, used, prices)


def _print(found: Calibration, monitor: CostMonitor, span: Span, *, with_idle: bool) -> int:
    factor, currency = found.factor(with_idle=with_idle), monitor.price_currency
    rows = (
        ("At the prices", found.priced),
        ("The bill, of what users used", found.billed),
        ("The bill, of what was idle", found.idle),
    )
    print(f"Servers in {span.since:%Y-%m}, in {currency}:")
    for what, amount in rows:
        print(f"  {what + ':':<30}{amount.quantize(CENT):>14,f}")
    if factor is None:
        note("there is nothing to compare: no bill, or no usage, of servers in this month")
        return NOT_KNOWN
    shown = factor.quantize(DIGITS, context=EXACT)
    print(f"  {'Factor:':<30}{shown:>14,f}   (now {monitor.price_factor:g})")
    if SMALLEST_FACTOR <= shown <= LARGEST_FACTOR:
        print(f"To let prices agree with the bill, set c.UsageConfig.price_factor = {shown:f}")
    else:
        expected = f"{SMALLEST_FACTOR:g} to {LARGEST_FACTOR:g}"
        note(
            "no price_factor lets these prices agree with the bill: got"
            f" {float(factor):,.6g}; expected {expected}; look at the units and the currency of"
            " c.UsageConfig.prices"
        )
    return 0
