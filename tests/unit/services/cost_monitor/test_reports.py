"""Reports of a month: sent once, when its bill is final; and printed, as HTML and CSV."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.commands import main
from jupyterhub_usage_quotas.config.costs import make_cost_monitor
from jupyterhub_usage_quotas.costs.cost_store import CostStore
from jupyterhub_usage_quotas.costs.known import Attribution, Costs
from jupyterhub_usage_quotas.costs.usage_store import UsageStore, Used
from jupyterhub_usage_quotas.costs.values import CostRow
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.guarding import SqlGuard
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from jupyterhub_usage_quotas.services.cost_monitor.reports import Reports
from tests.support import account

OPTIONS = {
    "sources": ["focus"],
    "focus_files": ["nothing.csv"],
    "hubs": {"prod": "jhub"},
    "prices": account.PRICES,
    "allow_without_token": True,
    "report_to": {"root": True, "tina": ["maths"]},
}
HOSTILE = "<script>alert(1)</script>"


def configured(folder, **options):
    config = Config()
    config.UsageConfig.prometheus_url = "http://prometheus.test"
    config.UsageConfig.hub_namespace = "jhub"
    url = f"sqlite:///{folder / 'hub.sqlite'}"
    config.CostMonitor.update({**OPTIONS, "ledger_url": url, **options})
    return make_cost_monitor(config)


@pytest.fixture
async def database(tmp_path):
    """October: 8 a day for machines and 2 for homes of the hub, 3 for the cluster."""
    made = Database(parse_ledger_url(f"sqlite:///{tmp_path / 'hub.sqlite'}"), upgrade=True)
    usage = UsageStore(made)
    await account.keep_usage(usage)
    more = [*account.PROD, Used(HOSTILE, "", "memory", 1)]
    await usage.write(account.LAST, "prod", more, 1.0, account.NOW)
    yield made
    await made.aclose()


async def bill(database, *, final=True, days=account.DAYS):
    charged = [("prod", "compute", 8), ("prod", "home storage", 2), ("", "core", 3)]
    rows = [
        CostRow(day, hub, component, Decimal(cost), "USD", final)
        for day in days
        for hub, component, cost in charged
    ]
    store = CostStore(database)
    await store.write("focus", rows, dict.fromkeys(days, final), account.NOW)


def reports(monitor, database) -> Reports:
    costs = Costs(CostStore(database), UsageStore(database), ["focus"], Attribution(monitor.rules))
    return Reports(monitor, costs, "/")


async def test_reports_are_sent_once_the_bill_is_final(database, tmp_path):
    monitor = configured(tmp_path)
    one = reports(monitor, database)
    assert await one.look(account.NOW) == 0
    await bill(database, days=account.DAYS[:-1])
    assert await one.look(account.NOW) == 0
    await bill(database, final=False)
    assert await one.look(account.NOW) == 0
    await bill(database)
    assert await one.look(account.NOW) == 2
    assert await one.look(account.NOW + timedelta(days=1)) == 0
    # After a restart they are there already.
    assert await reports(monitor, database).look(account.NOW + timedelta(days=2)) == 2
    guard = SqlGuard(database, "/")
    waiting = await guard.outgoing(account.NOW + timedelta(days=3), 10)
    texts = {each.notice.user: each.notice.text for each in waiting}
    assert len(waiting) == 2
    assert "What October 2026 cost:\nBill: 403.00 USD.\n" in texts["root"]
    assert "maths: 74.40 USD" in texts["root"]
    assert "Shared by all: 93.00 USD" in texts["root"]
    # Ada is in maths and physics: half of what she cost is maths'.
    assert "maths: 74.40 USD" in texts["tina"]
    assert "Bill" not in texts["tina"]
    assert "physics" not in texts["tina"]
    # Another month is another report.
    december = datetime(2026, 12, 20, tzinfo=UTC)
    november = [date(2026, 11, 1) + timedelta(days=number) for number in range(30)]
    await bill(database, days=november)
    assert await one.look(december) == 2


@pytest.mark.parametrize("given", [{"root": False}, {"": True}, {"tina": []}, {"tina": "maths"}])
def test_who_gets_what_is_checked(given, tmp_path):
    with pytest.raises(ConfigurationError, match="report_to"):
        configured(tmp_path, report_to=given)


class Texts(HTMLParser):
    """What is on a page, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.add(tag)


async def test_the_command_prints_a_page_and_a_table(database, tmp_path, capsys):
    await bill(database)
    path = tmp_path / "config.py"
    url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    options = {**OPTIONS, "ledger_url": url}
    lines = ["c.UsageConfig.prometheus_url = 'http://prometheus.test'"]
    path.write_text(
        "\n".join([*lines, *(f"c.CostMonitor.{k} = {v!r}" for k, v in options.items())])
    )

    async def run(*arguments: str) -> tuple[int, str]:
        code = await asyncio.to_thread(
            main, ["cost-report", "--config", str(path), "--month", "2026-10", *arguments]
        )
        return code, capsys.readouterr().out

    code, page = await run()
    found = Texts(page)
    assert code == 0
    assert "Bill: 403.00 USD. Each table adds up to it." in found.texts
    # What users are called is a text, whatever it is.
    assert HOSTILE in found.texts
    assert "script" not in found.tags
    code, table = await run("--format", "csv")
    rows = list(csv.DictReader(io.StringIO(table.lstrip("\ufeff"))))
    for by in ("group", "user"):
        assert sum(Decimal(one["total"]) for one in rows if one["by"] == by) == 403
    code, table = await run("--format", "csv", "--group", "maths")
    (only,) = csv.DictReader(io.StringIO(table.lstrip("\ufeff")))
    assert (only["name"], Decimal(only["total"])) == ("maths", Decimal("74.4"))
    code = await asyncio.to_thread(
        main, ["cost-report", "--config", str(path), "--month", "2025-01"]
    )
    assert code == 4
