"""The check of costs: are they known, in one currency, and whose is what nobody bears?"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from ...config.costs import CostMonitor, costs_shown
from ...config.ledger import default_ledger_url
from ...costs.components import SERVICES
from ...costs.cost_store import CostStore
from ...costs.known import Attribution, Costs
from ...costs.money import ZERO, total
from ...costs.months import Span
from ...costs.sources import aws
from ...costs.sources.base import DAY, Date
from ...costs.usage_store import UsageStore
from ...costs.values import CLUSTER, CostRow, Kind
from ...errors import ConfigurationError, LedgerUnavailable
from ...ledger.sql.database import Database
from ...ledger.sql.url import parse_ledger_url
from ..deployment import Deployment
from ..findings import Finding, counted, failed, ok, warning
from .cost_explorer import of_cost_explorer

DAYS: Final = 30
LATE: Final = 3
"""Days after which a source knows a day."""
MUCH: Final = Decimal("0.2")
"""The share of the bill from which on it is worth a warning that it is nobody's."""
NAMED: Final = 3
"""Services that are named."""
SECONDS: Final = 20.0
RUNNING: Final = (
    "Is the cost monitor running, with this ledger_url? Its log and /api/v1/sources say how it is"
    " with each source."
)
TAG: Final = (
    "What is another cluster's is right so. Tag what is this cluster's, or name its tags in"
    " c.CostMonitor.cluster_tags; tags count from the day after they are activated."
)


async def costs(deployment: Deployment) -> list[Finding]:
    """Whether sources of costs answer, and what becomes of the bill."""
    config = deployment.config
    if not config.get(CostMonitor.__name__, {}).get("sources"):
        return [ok("costs are not read: this configuration has no c.CostMonitor.sources")]
    try:
        monitor = costs_shown(config)
        url = (monitor and monitor.ledger_url) or default_ledger_url(config)
    except ConfigurationError as error:
        return [
            failed(one, "Correct it, or the cost monitor does not start.") for one in error.errors
        ]
    today = deployment.clock().date()
    if monitor is None or not url:
        return [failed("costs are kept in a database, and there is none", "Set ledger_url.")]
    found: list[Finding] = []
    if aws.NAME in monitor.sources:
        found += await asyncio.to_thread(of_cost_explorer, monitor, today)
    try:
        async with asyncio.timeout(SECONDS):
            return [*found, *await _kept(monitor, url, today)]
    except (LedgerUnavailable, TimeoutError) as error:
        return [*found, failed(f"costs cannot be read: {error or 'no answer in time'}", RUNNING)]


async def _kept(monitor: CostMonitor, url: str, today: Date) -> list[Finding]:
    """What the cost monitor keeps of the last days."""
    database = Database(parse_ledger_url(url))
    store, span = CostStore(database), Span(today - DAYS * DAY, today)
    try:
        found = [await _known(store, name, span) for name in monitor.sources]
        rows = await store.rows(list(monitor.sources), span.since, span.until)
        if not rows:
            return found
        how = Attribution(monitor.rules)
        known = Costs(store, UsageStore(database), list(monitor.sources), how)
        allocations = await known.allocations(span, by_user=False)
    finally:
        await database.aclose()
    unmeasured: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for one in allocations:
        if one.kind is Kind.UNATTRIBUTED and one.hub is not None:
            unmeasured[one.currency] += one.amount
    found += _currencies(monitor, rows)
    for currency in dict.fromkeys(row.currency for row in rows):
        of_currency = [row for row in rows if row.currency == currency]
        found += _nobodys(monitor, of_currency, unmeasured[currency], currency)
    return found


async def _known(store: CostStore, name: str, span: Span) -> Finding:
    """How far a source is known."""
    days = await store.days(name, span.since, span.until)
    if not days:
        return failed(f"{name}: no day of the last {DAYS} is known", RUNNING)
    last, estimates = max(days), sum(not one.final for one in days.values())
    restated = sum(one.restated > 0 for one in days.values())
    says = f"{name}: costs are known up to {last}"
    says += f", {counted(estimates, 'day')} of that estimated" if estimates else ""
    says += f"; {counted(restated, 'final day')} restated" if restated else ""
    number = (span.until - span.since).days
    missing = number - len(days) - min((span.until - DAY - last).days, LATE)
    if missing > 0:
        return warning(f"{says}; {counted(missing, 'day')} missing", RUNNING)
    return ok(says)


def _currencies(monitor: CostMonitor, rows: Sequence[CostRow]) -> Sequence[Finding]:
    """Whether all is in the currency of prices."""
    found = sorted({row.currency for row in rows})
    if len(found) > 1:
        says = f"the bill is in several currencies ({', '.join(found)}), which are never added up"
        return [warning(says, "Leave out sources in another currency.")]
    if monitor.prices and monitor.price_currency not in found:
        says = f"the bill is in {found[0]}, and prices and quotas are in {monitor.price_currency}"
        cure = f"Write prices in {found[0]}, and set c.UsageConfig.price_currency = '{found[0]}'."
        return [warning(says, cure)]
    return []


def _nobodys(
    monitor: CostMonitor, rows: Sequence[CostRow], unmeasured: Decimal, currency: str
) -> Sequence[Finding]:
    """How much of the bill no user bears, and why."""
    bill = total(row.amount for row in rows)
    known = {*SERVICES.values(), *monitor.services.values(), *monitor.rules.drivers}
    outside = [row for row in rows if row.hub is None]
    untagged = [row for row in outside if row.component in known]
    others = [row for row in outside if row.component not in known]
    parts = [
        _part(untagged, "has no tag of the cluster", currency, lambda row: row.service),
        _part(others, "is of charges that are not attributed", currency, lambda row: row.component),
        f"{unmeasured:,.2f} is of days of which it is not known who used what"
        if unmeasured
        else "",
    ]
    whole = total(row.amount for row in outside) + unmeasured
    said = "; ".join(filter(None, parts)) or "nothing"
    says = f"of {bill:,.2f} {currency} in {DAYS} days {whole:,.2f} is not attributed: {said}"
    much = bill > 0 and whole > MUCH * bill
    found = [warning(says, TAG) if much else ok(says)]
    clusters = [
        row for row in rows if row.hub == CLUSTER and monitor.rules.drivers.get(row.component)
    ]
    amount = total(row.amount for row in clusters)
    if amount > 0 and not monitor.split_untagged:
        what = ", ".join(sorted({row.component for row in clusters}))
        cure = (
            f"Tag it with {monitor.hub_tag}, or set c.CostMonitor.split_untagged = True where the"
            " cluster has one hub."
        )
        says = f"{amount:,.2f} {currency} of {what} has no tag of a hub, so no user bears it"
        found.append(warning(says, cure))
    return found


def _part(
    rows: Sequence[CostRow], why: str, currency: str, name_of: Callable[[CostRow], str]
) -> str:
    """A part of the bill in words, with what most of it is; empty where there is none."""
    if not rows:
        return ""
    amount = total(row.amount for row in rows)
    most = ", ".join(f"{name} {cost:,.2f}" for name, cost in _most(rows, name_of))
    return f"{amount:,.2f} {currency} {why} ({most})"


def _most(
    rows: Iterable[CostRow], name_of: Callable[[CostRow], str]
) -> Sequence[tuple[str, Decimal]]:
    sums: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for row in rows:
        sums[name_of(row) or row.component] += row.amount
    ordered: Mapping[str, Decimal] = dict(sorted(sums.items(), key=lambda one: -abs(one[1])))
    return list(ordered.items())[:NAMED]
