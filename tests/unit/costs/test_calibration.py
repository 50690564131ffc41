"""The price list held against the bill of a month; worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from jupyterhub_usage_quotas.commands import main
from jupyterhub_usage_quotas.costs.attribute import DayUsage, Rules, attribute
from jupyterhub_usage_quotas.costs.calibration import calibrate
from jupyterhub_usage_quotas.costs.cost_store import CostStore
from jupyterhub_usage_quotas.costs.months import month_before
from jupyterhub_usage_quotas.costs.prices import PriceList, weights_of
from jupyterhub_usage_quotas.costs.usage_store import UsageStore
from jupyterhub_usage_quotas.costs.values import CostRow
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from tests.support import account

DAY = date(2026, 10, 5)
PRICES = {"cpu": Decimal("0.1"), "memory": Decimal("0.01"), "storage": Decimal(7)}
LIST = PriceList(PRICES, "USD", RESOURCES)
RULES = Rules(weights_of(PRICES))
CPU_HOUR, GIB_HOUR = 3_600_000, 1024 * 3600
USED = {
    "prod": {
        "ada": {"cpu": 10 * CPU_HOUR, "memory": 100 * GIB_HOUR, "storage": 5},
        "bob": {"cpu": 10 * CPU_HOUR},
        "": {"cpu": 10 * CPU_HOUR},
    },
    # It has no bill: what it used is compared with nothing.
    "other": {"eve": {"cpu": 1000 * CPU_HOUR}},
}
BILL = [
    CostRow(DAY, "prod", "compute", Decimal("6.00"), "USD"),
    CostRow(DAY, "prod", "home storage", Decimal("50"), "USD"),
    CostRow(DAY, "", "core", Decimal("9"), "USD"),
    CostRow(DAY, "unmeasured", "compute", Decimal("9"), "USD"),
    CostRow(DAY, "prod", "compute", Decimal("9"), "EUR"),
    CostRow(DAY + timedelta(days=1), "prod", "compute", Decimal("9"), "USD"),
]


def test_what_servers_cost_by_the_bill_and_at_the_prices():
    usage = {DAY: DayUsage(USED)}
    found = calibrate(attribute(BILL, usage, RULES), usage, LIST)
    # Users used 20 CPU-hours and 100 GiB-hours, which is 3 dollars; nobody 10 CPU-hours, 1 dollar.
    assert found.priced == 3
    assert (found.billed, found.idle) == (Decimal("4.5"), Decimal("1.5"))
    assert found.factor() == Decimal("1.5")
    assert found.factor(with_idle=True) == 2


def test_nothing_is_compared_with_nothing():
    usage = {DAY: DayUsage({})}
    assert calibrate(attribute(BILL, usage, RULES), usage, LIST).factor() is None


@pytest.mark.parametrize(
    ("today", "month"),
    [
        (date(2026, 11, 28), date(2026, 10, 1)),
        (date(2026, 1, 1), date(2025, 12, 1)),
        (date(2026, 3, 31), date(2026, 2, 1)),
    ],
)
def test_the_last_month_is_the_last_that_is_over(today, month):
    span = month_before(today)
    assert span.since == month
    assert span.until.day == 1
    assert 28 <= (span.until - month).days <= 31


CONFIGURATION = """
c.UsageConfig.prometheus_url = "http://prometheus.test"
c.UsageConfig.prices = {"cpu": 0.1, "memory": 0.01}
c.UsageConfig.price_factor = 1.2
c.CostMonitor.sources = ["focus"]
c.CostMonitor.focus_files = ["*.csv"]
c.CostMonitor.allow_without_token = True
c.CostMonitor.ledger_url = "sqlite:///%s"
"""


@pytest.fixture
async def config(tmp_path):
    path = tmp_path / "costs.sqlite"
    (tmp_path / "config.py").write_text(CONFIGURATION % path)
    database = Database(parse_ledger_url(f"sqlite:///{path}"), upgrade=True)
    costs, usage = CostStore(database), UsageStore(database)
    days = [date(2026, 10, 1) + timedelta(days=number) for number in range(31)]
    rows = [CostRow(day, "prod", "compute", Decimal(3), "USD") for day in days]
    late = [CostRow(date(2026, 9, 1), "prod", "compute", Decimal(3), "USD", final=False)]
    september = [date(2026, 9, 1) + timedelta(days=number) for number in range(30)]
    await costs.write("focus", rows, dict.fromkeys(days, True), account.NOW)
    await costs.write("focus", late, dict.fromkeys(september, True), account.NOW)
    for day in days:
        used = [account.Used("ada", "", "cpu", 20 * CPU_HOUR)]
        await usage.write(day, "prod", used, 1.0, account.NOW)
    await database.aclose()
    return str(tmp_path / "config.py")


async def run(*arguments):
    import asyncio  # noqa: PLC0415 the command has a loop of its own

    return await asyncio.to_thread(main, ["calibrate", *arguments])


async def test_the_command_says_the_factor(config, capsys):
    assert await run("--config", config, "--month", "2026-10") == 0
    said = capsys.readouterr().out
    # 31 days of 20 CPU-hours at a tenth, and of 3 dollars in the bill.
    assert "62.00" in said
    assert "93.00" in said
    assert "c.UsageConfig.price_factor = 1.500" in said
    assert "(now 1.2)" in said


@pytest.mark.parametrize(("price", "factor"), [("0.00001", "15,000"), ("1000", "0.00015")])
async def test_a_factor_that_would_be_refused_is_not_recommended(config, capsys, price, factor):
    with Path(config).open("a") as file:  # noqa: ASYNC230 nothing else runs
        file.write(f"c.UsageConfig.prices = {{'cpu': {price}}}\n")
    assert await run("--config", config, "--month", "2026-10") == 0
    said = capsys.readouterr()
    assert "set c.UsageConfig.price_factor" not in said.out
    assert f"got {factor}; expected 0.001 to 1000" in said.err


@pytest.mark.parametrize(
    ("month", "said"), [("2026-09", "an estimate yet of 1 days"), ("2026-08", "no costs are kept")]
)
async def test_a_month_that_is_not_final_or_not_known_is_refused(config, capsys, month, said):
    assert await run("--config", config, "--month", month) == 4
    assert said in capsys.readouterr().err
