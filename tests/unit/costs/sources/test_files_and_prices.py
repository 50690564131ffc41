"""FOCUS files, OpenCost and price lists: other bills, which end in the same rows."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pytest
from pyarrow import parquet

from jupyterhub_usage_quotas.costs.components import Tagging, cluster_tags
from jupyterhub_usage_quotas.costs.prices import USUAL_PRICES, PriceList, weights_of
from jupyterhub_usage_quotas.costs.sources.base import CostsUnknown, SourceState
from jupyterhub_usage_quotas.costs.sources.focus import FocusFiles, tags_of
from jupyterhub_usage_quotas.costs.sources.opencost import OpenCost
from jupyterhub_usage_quotas.costs.sources.price_list import Priced
from jupyterhub_usage_quotas.costs.usage_store import UsageStore
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from tests.support import account

FIRST, SECOND, AFTER = date(2026, 10, 1), date(2026, 10, 2), date(2026, 10, 3)
TAGGING = Tagging(cluster_tags("campus"))
EC2 = "Amazon Elastic Compute Cloud"


def charge(cost: Any, day: str = "2026-10-01T00:00:00Z", **more: Any) -> dict[str, Any]:
    return {
        "BilledCost": cost,
        "EffectiveCost": "1",
        "BillingCurrency": "CHF",
        "BillingPeriodEnd": "2026-11-01T00:00:00Z",
        "ChargePeriodStart": day,
        "ChargeCategory": "Usage",
        "ServiceName": EC2,
        "ServiceCategory": "Compute",
        "Tags": '{"2i2c:hub-name": "prod"}',
        **more,
    }


CHARGES = [
    charge("1.10"),
    charge("0.0000000003"),
    charge("2", Tags='"2i2c.org/cluster-name": "campus"'),
    charge("3", Tags='{"user:2i2c:hub-name": "prod", "user:2i2c:volume-purpose": "home-nfs"}'),
    charge("4", Tags="{}"),
    charge("-5", "2026-10-02T00:00:00Z", ChargeCategory="Credit", Tags=""),
    charge("6", "2026-10-02T23:00:00Z", ServiceName="VPC", ServiceCategory="Networking"),
    charge("7", "2026-10-05T00:00:00Z"),
]
EXPECTED = {
    (FIRST, "prod", "compute"): Decimal("1.1000000003"),
    (FIRST, "", "compute"): 2,
    (FIRST, "prod", "home storage"): 3,
    (FIRST, None, "compute"): 4,
    (SECOND, None, "Credit"): -5,
    (SECOND, "prod", "networking"): 6,
}


def written(path, charges, encoding="utf-8"):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, charges[0].keys())
        writer.writeheader()
        writer.writerows(charges)


async def focus(*files, today=date(2026, 11, 20), **options):
    made = FocusFiles([str(one) for one in files], TAGGING, today=lambda: today, **options)
    return await made.days(FIRST, AFTER)


def summed(rows) -> dict:
    found: dict = defaultdict(Decimal)
    for row in rows:
        found[row.day, row.hub, row.component] += row.amount
    return dict(found)


@pytest.mark.parametrize("name", ["month.csv", "month.csv.gz", "bom.csv"])
async def test_a_month_in_csv(tmp_path, name):
    written(tmp_path / name, CHARGES, "utf-8-sig" if name == "bom.csv" else "utf-8")
    bill = await focus(tmp_path / "*.csv*")
    assert summed(bill.rows) == EXPECTED
    assert bill.days == {FIRST: True, SECOND: True}
    assert {row.currency for row in bill.rows} == {"CHF"}


async def test_a_month_in_parquet(tmp_path):
    columns = {name: [one[name] for one in CHARGES] for name in CHARGES[0]}
    columns["BilledCost"] = pa.array(
        [Decimal(one["BilledCost"]) for one in CHARGES], pa.decimal128(38, 15)
    )
    columns["ChargePeriodStart"] = [
        datetime.fromisoformat(one["ChargePeriodStart"]) for one in CHARGES
    ]
    columns["Tags"] = pa.array(
        [list(tags_of(one["Tags"]).items()) for one in CHARGES], pa.map_(pa.string(), pa.string())
    )
    parquet.write_table(pa.table(columns), tmp_path / "month.parquet")
    assert summed((await focus(tmp_path / "*.parquet")).rows) == EXPECTED


async def test_a_month_that_is_not_settled_is_an_estimate(tmp_path):
    written(tmp_path / "month.csv", CHARGES)
    bill = await focus(tmp_path / "month.csv", today=date(2026, 11, 7))
    assert set(bill.days.values()) == {False}
    assert set((await focus(tmp_path / "month.csv", today=date(2026, 11, 8))).days.values()) == {
        True
    }


async def test_other_costs_can_be_meant(tmp_path):
    written(tmp_path / "month.csv", CHARGES)
    bill = await focus(tmp_path / "month.csv", cost="EffectiveCost")
    assert sum(row.amount for row in bill.rows) == 7


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"BilledCost": "1,10"}, "no amount of money"),
        ({"ChargePeriodStart": "October"}, "Invalid isoformat"),
        ({"Tags": "{nonsense"}, "Tags cannot be read"),
    ],
)
async def test_what_cannot_be_read_is_said_and_nothing_is_taken(tmp_path, changed, why):
    written(tmp_path / "month.csv", [*CHARGES, {**CHARGES[0], **changed}])
    with pytest.raises(CostsUnknown, match=why) as caught:
        await focus(tmp_path / "month.csv")
    assert caught.value.state is SourceState.BAD_ANSWER


async def test_no_files_and_no_column(tmp_path):
    with pytest.raises(CostsUnknown, match="no such file") as caught:
        await focus(tmp_path / "*.csv")
    assert caught.value.state is SourceState.NOT_READY
    del (without := dict(CHARGES[0]))["ServiceName"]
    written(tmp_path / "month.csv", [without])
    with pytest.raises(CostsUnknown, match="has no column ServiceName"):
        await focus(tmp_path / "month.csv")


@pytest.mark.parametrize(
    "given",
    [
        {"a": "1"},
        '{"a": "1"}',
        '"a": "1"',
        [{"key": "a", "value": "1"}],
        [("a", "1"), ("b", None)],
        {"user:a": 1},
    ],
)
def test_tags_are_read_as_each_cloud_writes_them(given):
    assert tags_of(given) == {"a": "1"}


# --- OpenCost ------------------------------------------------------------------------------------

ALLOCATIONS = """{"code": 200, "data": [{
    "prod": {"cpuCost": 1.1, "ramCost": 0.2, "gpuCost": 3, "pvCost": 0.4, "networkCost": 0.01,
             "loadBalancerCost": 0.02, "sharedCost": 0.005, "totalCost": 4.735},
    "kube-system": {"cpuCost": 0.5, "totalCost": 0.5},
    "__idle__": {"cpuCost": 2, "ramCost": 1, "totalCost": 3},
    "__unmounted__": {"pvCost": 0.3, "totalCost": 0.3},
    "nothing": null}]}"""


def opencost(answer):
    return OpenCost(
        "http://opencost.test:9003",
        {"prod": "Production"},
        "USD",
        transport=httpx.MockTransport(answer),
    )


async def test_what_opencost_allocates():
    asked = []

    def answer(request):
        asked.append(dict(request.url.params))
        return httpx.Response(200, text=ALLOCATIONS)

    source = opencost(answer)
    bill = await source.days(FIRST, AFTER)
    await source.aclose()
    assert bill.days == {FIRST: True, SECOND: True}
    assert asked[0]["window"] == "2026-10-01T00:00:00Z,2026-10-02T00:00:00Z"
    of_first = {at[1:]: cost for at, cost in summed(bill.rows).items() if at[0] == FIRST}
    assert of_first == {
        ("Production", "compute"): Decimal("4.3"),
        ("Production", "home storage"): Decimal("0.4"),
        ("Production", "networking"): Decimal("0.03"),
        ("Production", "other"): Decimal("0.005"),
        ("", "compute"): Decimal("0.5"),
        ("", "idle"): 3,
        ("", "home storage"): Decimal("0.3"),
    }


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (httpx.Response(200, text='{"code": 200, "data": []}'), SourceState.NOT_READY),
        (httpx.Response(200, text='{"code": 200, "data": [null]}'), SourceState.NOT_READY),
        (httpx.Response(403), SourceState.DENIED),
        (httpx.Response(500, text='{"code": 500}'), SourceState.FAILED),
        (httpx.Response(200, text="<html>"), SourceState.BAD_ANSWER),
        (httpx.Response(200, text='{"code": 200, "data": [{"a": 1}]}'), SourceState.BAD_ANSWER),
        (
            httpx.Response(200, text='{"code": 200, "data": [{"a": {"totalCost": "x"}}]}'),
            SourceState.BAD_ANSWER,
        ),
        (httpx.ConnectError("refused"), SourceState.UNREACHABLE),
    ],
)
async def test_what_is_wrong_with_opencost_is_a_state(answer, state):
    def answering(_request):
        if isinstance(answer, Exception):
            raise answer
        return answer

    source = opencost(answering)
    try:
        found = (await source.days(FIRST, AFTER)).state
    except CostsUnknown as error:
        found = error.state
    assert found is state


# --- a price list --------------------------------------------------------------------------------


async def test_usage_at_the_prices_of_a_list(tmp_path):
    url = parse_ledger_url(f"sqlite:///{tmp_path / 'usage.sqlite'}")
    database = Database(url, upgrade=True)
    store = UsageStore(database)
    await account.keep_usage(store)
    prices = {"memory": Decimal("0.01"), "cpu": Decimal("0.1"), "storage": Decimal("7.3")}
    source = Priced(PriceList(prices, "CHF", RESOURCES), store)
    bill = await source.days(account.FIRST, account.AFTER)
    await database.aclose()
    first = {at[1:]: cost for at, cost in summed(bill.rows).items() if at[0] == account.FIRST}
    # In prod 40 GiB-hours and 10 CPU-hours; 100 GB for 24 of the 730 hours of a month.
    assert {at: round(cost, 4) for at, cost in first.items()} == {
        ("prod", "compute"): Decimal("1.4"),
        ("prod", "home storage"): Decimal("24"),
        ("staging", "compute"): Decimal("0.02"),
    }
    assert bill.days.keys() == set(account.DAYS)
    assert bill.state is SourceState.OK


async def test_no_usage_is_no_bill_of_zero(tmp_path):
    url = parse_ledger_url(f"sqlite:///{tmp_path / 'usage.sqlite'}")
    database = Database(url, upgrade=True)
    source = Priced(PriceList({}, "CHF", RESOURCES), UsageStore(database))
    assert (await source.days(FIRST, AFTER)).state is SourceState.NOT_READY
    await database.aclose()


def test_each_resource_weighs_by_its_price():
    prices = {name: Decimal(str(price)) for name, price in account.PRICES.items()}
    weights = weights_of(prices)
    assert weights.keys() == {"compute", "home storage"}
    compute = weights["compute"]
    assert compute["memory"] * account.GIB_HOUR * 4 == compute["cpu"] * account.CPU_HOUR
    assert weights_of({**prices, "cpu": Decimal(0)})["compute"].keys() == {"memory"}
    assert weights_of(USUAL_PRICES)["compute"].keys() == {"memory", "cpu", "gpu"}
