"""Costs on a user's page: the months that are kept at once, else within some seconds, else none;
whatever is wrong with the database or with us, the page is shown.
"""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from decimal import Decimal

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.costs import make_cost_monitor
from jupyterhub_usage_quotas.costs.cost_store import CostStore
from jupyterhub_usage_quotas.costs.months import month_of, newest_months
from jupyterhub_usage_quotas.costs.usage_store import UsageStore
from jupyterhub_usage_quotas.costs.values import CostRow
from jupyterhub_usage_quotas.errors import LedgerUnavailable
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.services.viewer import costing
from tests.support import account

TODAY = date(2026, 11, 20)
OLD = month_of(date(2026, 3, 1))


class Faulty(Database):
    """A database that fails, or answers when it is let."""

    failure: Exception | None = None
    reads = 0

    def __init__(self, *given, **more) -> None:
        super().__init__(*given, **more)
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = asyncio.Event()

    async def read(self, work):
        self.reads += 1
        self.asked.set()
        await self.answers.wait()
        if self.failure:
            raise self.failure
        return await super().read(work)


class Shown:
    """The costs of October that a page shows, and the database that they are in."""

    def __init__(self, folder, monkeypatch) -> None:
        config = Config()
        config.UsageConfig.hub_namespace = "jhub"
        config.UsageConfig.usage_source = "sessions"
        config.UsageConfig.ledger_url = f"sqlite:///{folder / 'hub.sqlite'}"
        config.CostMonitor = Config(
            sources=["focus"],
            focus_files=["nothing.csv"],
            hubs={"prod": "jhub"},
            prices=account.PRICES,
            allow_without_token=True,
        )

        def make(where):
            self.database = Faulty(where, upgrade=True)
            return self.database

        monkeypatch.setattr(costing, "Database", make)
        self.now = 0.0
        self.costs = costing.ShownCosts(make_cost_monitor(config), lambda: self.now)

    async def of_ada(self) -> Decimal | None:
        """What her page says of October."""
        months = await self.costs.of_user("ada", TODAY)
        if months is None:
            return None
        assert [one.span for one in months] == newest_months(TODAY, 3)
        return sum((one.total for one in months[1].users.get("ada", ())), Decimal(0))


@pytest.fixture
async def shown(tmp_path, monkeypatch):
    made = Shown(tmp_path, monkeypatch)
    await account.keep_usage(UsageStore(made.database))
    rows = [CostRow(day, "prod", "compute", Decimal(8), "USD") for day in account.DAYS]
    days = dict.fromkeys(account.DAYS, True)
    await CostStore(made.database).write("focus", rows, days, account.NOW)
    yield made
    made.database.answers.set()
    await made.costs.aclose()


async def test_months_that_are_kept_are_shown_while_somebody_opens_an_old_one(shown):
    # Ada used 3 of each 8.
    assert await shown.of_ada() == 93
    shown.database.answers.clear()
    shown.database.asked.clear()
    opened = asyncio.create_task(shown.costs.month(OLD))
    await shown.database.asked.wait()
    shown.now += 10 * costing.KEPT
    assert await shown.of_ada() == 93
    assert not opened.done()
    shown.database.answers.set()
    assert (await opened).span == OLD


async def test_months_that_are_kept_are_shown_while_the_ledger_is_away(shown):
    assert await shown.of_ada() == 93
    shown.now += 10 * costing.KEPT
    shown.database.failure = LedgerUnavailable("away")
    with pytest.raises(LedgerUnavailable):
        await shown.costs.month(month_of(TODAY))
    assert await shown.of_ada() == 93


async def test_a_page_does_not_wait_for_a_database_that_does_not_answer(shown, monkeypatch):
    monkeypatch.setattr(costing, "PATIENCE", 0.01)
    shown.database.answers.clear()
    assert await shown.of_ada() is None
    # What was begun is kept once it is there.
    shown.database.answers.set()
    for span in newest_months(TODAY, 3):
        await shown.costs.month(span)
    assert await shown.of_ada() == 93


async def test_a_page_is_shown_without_costs_while_the_ledger_is_away(shown, caplog):
    shown.database.failure = LedgerUnavailable("away")
    assert await shown.of_ada() is None
    assert "Costs cannot be read: away; 'ada' sees none" in caplog.text
    shown.database.failure = None
    assert await shown.of_ada() == 93


async def test_a_bug_is_logged_and_costs_nobody_their_page(shown, caplog):
    shown.database.failure = ZeroDivisionError("a bug")
    assert await shown.of_ada() is None
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert record.name == "usage_viewer"
    assert record.exc_info[0] is ZeroDivisionError
    shown.database.failure = None
    assert await shown.of_ada() == 93


async def test_the_month_that_was_not_used_for_longest_is_forgotten(shown, monkeypatch):
    monkeypatch.setattr(costing, "MONTHS_KEPT", 2)
    old, newer, newest = (month_of(OLD.since + timedelta(days=31 * n)) for n in range(3))
    for span in (old, newer, old, newest):
        await shown.costs.month(span)

    async def is_kept(span) -> bool:
        before = shown.database.reads
        await shown.costs.month(span)
        return shown.database.reads == before

    assert await is_kept(old)
    assert await is_kept(newest)
    assert not await is_kept(newer)
