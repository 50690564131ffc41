"""What `doctor` says of costs: whether they are known, and why some of them are nobody's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.costs.cost_store import CostStore
from jupyterhub_usage_quotas.costs.sources.aws import CostExplorer as Source
from jupyterhub_usage_quotas.costs.sources.aws import Query
from jupyterhub_usage_quotas.costs.usage_store import UsageStore
from jupyterhub_usage_quotas.costs.values import CostRow
from jupyterhub_usage_quotas.doctor.checks.costs import costs
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from tests.support import account
from tests.support.cost_explorer import CostExplorer, cost_explorer
from tests.support.cost_monitor import configured

NOW = datetime(2026, 11, 1, 9, tzinfo=UTC)
TAGS = ("2i2c.org/cluster-name", "2i2c:hub-name", "2i2c:volume-purpose", "2i2c:node-purpose")


@pytest.fixture
def billed() -> Iterator[CostExplorer]:
    with cost_explorer(account.charges()) as made:
        made.active = TAGS
        yield made


def config(folder: Any, **options: Any) -> Config:
    made = Config()
    made.UsageConfig.prometheus_url = "http://prometheus.test"
    made.CostMonitor.update(
        {
            "sources": ["aws"],
            "cluster_name": account.CLUSTER,
            "ledger_url": f"sqlite:///{folder / 'costs.sqlite'}",
            "prices": account.PRICES,
            **options,
        }
    )
    return made


async def said(of: Config) -> list[tuple[str, str]]:
    deployment: Any = SimpleNamespace(config=of, clock=lambda: NOW)
    return [(one.status.value, f"{one.says} {one.cure}") for one in await costs(deployment)]


async def keep(folder: Any, *, rows: Any = None) -> None:
    """What the cost monitor keeps of October."""
    database = Database(parse_ledger_url(f"sqlite:///{folder / 'costs.sqlite'}"), upgrade=True)
    await account.keep_usage(UsageStore(database))
    if rows is None:
        monitor = configured(folder)
        budget: Any = SimpleNamespace(take=lambda: None)
        source = Source(monitor.tagging, Query(), budget, today=NOW.date)
        rows = (await source.days(account.FIRST, account.AFTER)).rows
    days = dict.fromkeys(account.DAYS, True)
    await CostStore(database).write("aws", rows, days, NOW)
    await database.aclose()


async def test_without_a_source_there_is_nothing_to_check(tmp_path):
    ((status, words),) = await said(Config())
    assert (status, "costs are not read" in words) == ("ok", True)
    ((status, words),) = await said(config(tmp_path, cluster_name=""))
    assert (status, "cluster_name" in words) == ("failed", True)


async def test_what_is_nobodys_and_why(billed, tmp_path):
    await keep(tmp_path)
    found = await said(config(tmp_path))
    words = "\n".join(one for _, one in found)
    assert ("ok", "the cost allocation tags of cluster and hubs are active ") in found
    assert "aws: costs are known up to 2026-10-31" in words
    # The last 30 days: of each 19.85 four are another cluster's; the credit, the tax and the
    # workshop's first day, of which nobody knows who used it.
    assert (
        "120.00 USD has no tag of the cluster (Amazon Elastic Compute Cloud - Compute 120.00)"
        in words
    )
    assert "36.43 USD is of charges that are not attributed (Tax 61.43, Credit -25.00)" in words
    assert "6.00 is of days of which it is not known who used what" in words
    assert "is not attributed" in words
    assert "of 661.93 USD in 30 days 162.43 is" in words
    assert [status for status, one in found if "in 30 days" in one] == ["warning"]


@pytest.mark.parametrize(
    ("active", "options", "status", "words"),
    [
        ((), {}, "failed", "no tag of the cluster is active"),
        (TAGS[:1], {}, "failed", 'the tag of hubs "2i2c:hub-name" is not active'),
        (TAGS[:1], {"split_untagged": True}, "warning", "no tag of home storage is active"),
        (None, {}, "skipped", "cannot be read: AccessDeniedException"),
    ],
)
async def test_tags_that_are_not_active_are_named(billed, tmp_path, active, options, status, words):
    billed.active = active
    await keep(tmp_path)
    found = await said(config(tmp_path, **options))
    assert any(one == status and words in text for one, text in found), found


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ("AccessDeniedException", "ce:GetCostAndUsage"),
        ("DataUnavailableException", "wait for a day"),
        ("ThrottlingException", "again in some minutes"),
    ],
)
async def test_what_cost_explorer_refuses_says_what_to_do(billed, tmp_path, failure, words):
    await keep(tmp_path)
    billed.failure = failure
    found = await said(config(tmp_path))
    (text,) = [one for status, one in found if status == "failed"]
    assert failure in text
    assert words in text
    # What is kept is examined all the same.
    assert any("costs are known up to" in one for _, one in found)


async def test_savings_plans_and_other_currencies_are_named(billed, tmp_path):
    billed.charges = [
        account.Charge(account.LAST, account.MACHINES, "5", kind="SavingsPlanCoveredUsage")
    ]
    rows = [
        CostRow(account.LAST, "prod", "compute", Decimal(3), "EUR"),
        CostRow(account.LAST, "", "compute", Decimal(2), "EUR"),
    ]
    await keep(tmp_path, rows=rows)
    words = "\n".join(one for _, one in await said(config(tmp_path)))
    assert "Add to c.CostMonitor.aws_record_types: SavingsPlanCoveredUsage." in words
    assert "the bill is in EUR, and prices and quotas are in USD" in words
    assert "2.00 EUR of compute has no tag of a hub, so no user bears it" in words


async def test_a_monitor_that_keeps_nothing_is_found(billed, tmp_path):
    await keep(tmp_path, rows=[])
    database = Database(parse_ledger_url(f"sqlite:///{tmp_path / 'costs.sqlite'}"))
    await CostStore(database).prune(account.AFTER + timedelta(days=1))
    await database.aclose()
    found = await said(config(tmp_path))
    assert ("failed", True) in [(status, "no day of the last 30" in one) for status, one in found]
    found = await said(config(tmp_path, ledger_url=f"sqlite:///{tmp_path / 'away' / 'x.sqlite'}"))
    assert ("failed", True) in [(status, "cannot be read" in one) for status, one in found]
