"""Each source is asked for what is missing or estimated; what fails in one reaches no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from jupyterhub_usage_quotas.costs.cost_store import COST_DAYS, CostStore
from jupyterhub_usage_quotas.costs.keeping import CostKeeping
from jupyterhub_usage_quotas.costs.sources.base import (
    Bill,
    CostsUnknown,
    SourceState,
    days_between,
)
from jupyterhub_usage_quotas.costs.usage_store import version_of
from jupyterhub_usage_quotas.costs.values import CostRow
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url

START = datetime(2026, 10, 11, 9, 0, tzinfo=UTC)
FIRST = date(2026, 10, 1)


@dataclass
class Source:
    """Charges a dollar a day: an estimate since `open_since`, not known on `missing` days."""

    name: str = "aws"
    asks_little: bool = True
    open_since: date = date(2026, 10, 9)
    missing: frozenset = frozenset()
    cost: str = "1"
    failure: Exception | None = None
    asked: list = field(default_factory=list)

    async def days(self, since, until):
        self.asked.append((since, until))
        if self.failure:
            raise self.failure
        known = {
            day: day < self.open_since
            for day in days_between(since, until)
            if day not in self.missing
        }
        rows = [
            CostRow(day, "prod", "compute", Decimal(self.cost), "USD", final)
            for day, final in known.items()
        ]
        state = SourceState.NOT_READY if self.missing else SourceState.OK
        return Bill(rows, known, state)

    async def aclose(self):
        pass


@pytest.fixture
async def store(tmp_path) -> AsyncIterator[CostStore]:
    database = Database(parse_ledger_url(f"sqlite:///{tmp_path / 'costs.sqlite'}"), upgrade=True)
    yield CostStore(database)
    await database.aclose()


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


def keeping(store, *sources, clock=None) -> CostKeeping:
    return CostKeeping(
        store,
        sources,
        reach=timedelta(days=10),
        every=timedelta(hours=8),
        clock=clock or Clock(),
    )


async def kept(store, name="aws") -> Decimal:
    return sum(row.amount for row in await store.rows([name], FIRST, date(2026, 12, 1)))


async def test_only_what_is_missing_or_estimated_is_asked_for(store):
    source, clock = Source(missing=frozenset({date(2026, 10, 10)})), Clock()
    one = keeping(store, source, clock=clock)
    assert one.states["aws"].state is SourceState.NOT_ASKED
    await one.refresh()
    assert await kept(store) == 9
    assert one.states["aws"].state is SourceState.NOT_READY
    source.missing = frozenset()
    await one.refresh()
    # The estimate of the 9th is not old enough to be asked for again.
    assert source.asked == [(FIRST, START.date()), (date(2026, 10, 10), START.date())]
    assert one.states["aws"].state is SourceState.OK
    await one.refresh()
    assert len(source.asked) == 2
    clock.now += timedelta(hours=8)
    await one.refresh()
    assert source.asked[2:] == [(date(2026, 10, 9), START.date())]
    # Another process goes on with what is kept.
    again = keeping(store, source, clock=clock)
    await again.refresh()
    assert len(source.asked) == 3
    assert again.states["aws"].state is SourceState.OK


async def test_final_days_are_asked_for_again_since_credits_come_late(store, caplog):
    source, clock = Source(open_since=date(2027, 1, 1)), Clock()
    long = {"reach": timedelta(days=100), "every": timedelta(hours=8), "clock": clock}
    one = CostKeeping(store, [source], **long)
    await one.refresh()
    assert len(source.asked) == 2  # a hundred days, at most 92 at once
    source.asked.clear()
    source.cost = "1.10"
    clock.now += timedelta(hours=23)
    await one.refresh()
    # Only the day that was not over before.
    assert source.asked == [(date(2026, 10, 11), date(2026, 10, 12))]
    clock.now += timedelta(hours=1)
    await one.refresh()
    lately = clock.now.date() - timedelta(days=62)
    assert source.asked[1:] == [(lately, date(2026, 10, 11))]
    assert one.states["aws"].restated[-1] == date(2026, 10, 10)
    assert "Costs of final days were restated: aws: " in caplog.text
    source.asked.clear()
    clock.now += timedelta(days=30)
    await one.refresh()
    assert min(since for since, _ in source.asked) == clock.now.date() - timedelta(days=100)


async def test_what_costs_nothing_to_ask_is_asked_for_whole_and_restated_days_are_said(
    store, caplog
):
    source = Source("focus", asks_little=False)
    one = keeping(store, source)
    await one.refresh()
    source.cost = "1.10"
    await one.refresh()
    assert await kept(store, "focus") == 11
    final = tuple(days_between(FIRST, date(2026, 10, 9)))
    assert one.states["focus"].restated == final
    assert "Costs of final days were restated: focus: 2026-10-01, 2026-10-02" in caplog.text


async def test_whoever_read_between_two_pieces_sees_that_there_is_more(store):
    clock, seen = Clock(), []

    class Slow(Source):
        async def days(self, since, until):
            seen.append(await store.database.read(partial(version_of, table=COST_DAYS)))
            clock.now += timedelta(minutes=1)
            return await super().days(since, until)

    source = Slow(asks_little=False, open_since=date(2027, 1, 1))
    long = {"reach": timedelta(days=200), "every": timedelta(hours=8), "clock": clock}
    one = CostKeeping(store, [source], **long)
    await one.refresh()
    assert len(seen) == 3
    seen.clear()
    # Nothing is new in any of them, except when it was read.
    await one.refresh()
    assert len(set(seen)) == 3


async def test_a_failure_of_one_source_is_its_own(store):
    throttled = Source("aws", failure=CostsUnknown(SourceState.THROTTLED, "slow down"))
    broken = Source("opencost", failure=ZeroDivisionError("a bug"))
    well = Source("focus")
    one = keeping(store, throttled, broken, well)
    await one.refresh()
    found = {name: (status.state, status.detail) for name, status in one.states.items()}
    assert found == {
        "aws": (SourceState.THROTTLED, "slow down"),
        "opencost": (SourceState.FAILED, "ZeroDivisionError: a bug"),
        "focus": (SourceState.OK, ""),
    }
    assert (await kept(store, "aws"), await kept(store, "focus")) == (0, 10)
    assert await store.days("aws", FIRST, START.date()) == {}


async def test_what_was_known_stays_when_a_source_fails(store):
    source, clock = Source(), Clock()
    one = keeping(store, source, clock=clock)
    await one.refresh()
    clock.now += timedelta(days=1)
    source.failure = CostsUnknown(SourceState.DENIED, "no")
    await one.refresh()
    assert await kept(store) == 10
    assert one.states["aws"].state is SourceState.DENIED
