"""Cost Explorer over HTTP: a month of the made-up account, page by page, and what goes wrong."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import httpx
import pytest
from moto.server import ThreadedMotoServer

from jupyterhub_usage_quotas.costs.components import Tag, Tagging, cluster_tags
from jupyterhub_usage_quotas.costs.sources.aws import Budget, CostExplorer, Query
from jupyterhub_usage_quotas.costs.sources.base import CostsUnknown, SourceState
from tests.support import account
from tests.support.account import AFTER, DAYS, FIRST, LAST, MACHINES, Charge, of_hub
from tests.support.cost_explorer import CREDENTIALS, cost_explorer

TODAY = date(2026, 11, 20)


@pytest.fixture
def billed() -> Iterator:
    with cost_explorer(account.charges()) as made:
        yield made


def source(*, tagging=None, query=None, a_day=100, today=TODAY, asked=lambda _: None):
    tagging = tagging or Tagging(cluster_tags(account.CLUSTER))
    budget = Budget(a_day, lambda: today)
    return CostExplorer(tagging, query or Query(), budget, today=lambda: today, asked=asked)


async def read(since=FIRST, until=AFTER, **options):
    made = source(**options)
    try:
        return await made.days(since, until)
    finally:
        await made.aclose()


def sums(rows, *names) -> dict:
    found: dict = defaultdict(Decimal)
    for row in rows:
        found[tuple(getattr(row, name) for name in names)] += row.amount
    return dict(found)


async def test_a_month_is_the_bill(billed):
    bill = await read()
    assert bill.days == dict.fromkeys(DAYS, True)
    assert bill.state is SourceState.OK
    assert sum(row.amount for row in bill.rows) == Decimal("681.78")
    assert sums(bill.rows, "hub", "component") == {
        ("prod", "compute"): 248,
        ("prod", "home storage"): 62,
        ("prod", "object storage"): Decimal("7.75"),
        ("staging", "compute"): 31,
        ("workshop", "compute"): 30,
        ("", "core"): Decimal("127.1"),
        ("", "networking"): Decimal("15.5"),
        (None, "compute"): 124,
        (None, "Credit"): -25,
        (None, "Tax"): Decimal("61.43"),
    }
    assert {row.currency for row in bill.rows} == {"USD"}


async def test_each_question_is_asked_page_by_page_and_counted(billed):
    outcomes = []
    await read(asked=outcomes.append)
    assert len(billed.asked) == 4 * 5  # 31 days, 7 on a page
    assert outcomes == ["ok"] * 20
    pages = [one.get("NextPageToken") for one in billed.asked[:5]]
    assert pages == [None, "2026-10-08", "2026-10-15", "2026-10-22", "2026-10-29"]
    assert {one["TimePeriod"]["End"] for one in billed.asked} == {"2026-11-01"}


async def test_a_day_that_aws_estimates_is_no_final_one(billed):
    billed.charges = [Charge(LAST, MACHINES, "1", of_hub("prod"), estimated=True)]
    bill = await read(until=AFTER)
    assert bill.days[LAST] is False
    assert [row.final for row in bill.rows] == [False]
    assert bill.days[FIRST] is True


async def test_other_types_of_charges_can_be_attributed(billed):
    bill = await read(query=Query(record_types=("Usage", "Credit")))
    assert sums(bill.rows, "hub")[("prod",)] == Decimal("292.75")
    assert sum(row.amount for row in bill.rows) == Decimal("681.78")
    everything = await read(query=Query(record_types=()), tagging=Tagging([Tag("nothing")]))
    assert {row.hub for row in everything.rows} == {None}


async def test_a_hub_may_be_called_anything(billed):
    name = "a$b 2i2c:hub-name$"
    billed.charges = [Charge(FIRST, MACHINES, "1", of_hub(name))]
    assert sums((await read()).rows, "hub") == {(name,): 1}


async def test_a_resource_with_several_purposes_counts_once(billed):
    both = of_hub("prod", **{"2i2c:volume-purpose": "home-nfs", "2i2c:node-purpose": "core"})
    billed.charges = [Charge(FIRST, "EC2 - Other", "5", both)]
    assert sums((await read()).rows, "component") == {("home storage",): 5}


async def test_a_service_that_is_not_known_is_another(billed):
    billed.charges = [Charge(FIRST, "Amazon Quantum", "5", of_hub("prod"))]
    assert sums((await read()).rows, "component", "service") == {("other", "Amazon Quantum"): 5}


# --- what is not known ---------------------------------------------------------------------------


async def test_days_that_are_not_ready_are_not_known(billed):
    billed.charges = [one for one in account.charges() if one.day < LAST]
    bill = await read(today=AFTER)
    assert LAST not in bill.days
    assert len(bill.days) == 30
    assert bill.state is SourceState.NOT_READY
    assert "2026-10-31" in bill.detail
    # Some days later, a day without costs is one that cost nothing.
    assert (await read(today=LAST + timedelta(days=4))).days[LAST] is True


async def test_nothing_at_all_yet(billed):
    billed.charges = []
    bill = await read(LAST, AFTER, today=AFTER)
    assert (bill.days, bill.state) == ({}, SourceState.NOT_READY)


async def test_tags_that_are_not_active_are_said(billed):
    billed.charges = [Charge(day, MACHINES, "1") for day in DAYS]
    bill = await read()
    assert bill.state is SourceState.TAGS_NOT_ACTIVE
    assert {row.hub for row in bill.rows} == {None}
    billed.charges = [Charge(day, MACHINES, "1", account.OURS) for day in DAYS]
    assert (await read()).state is SourceState.HUBS_NOT_TAGGED


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("LimitExceededException", SourceState.THROTTLED),
        ("ThrottlingException", SourceState.THROTTLED),
        ("DataUnavailableException", SourceState.TOO_NEW),
        ("AccessDeniedException", SourceState.DENIED),
        ("UnrecognizedClientException", SourceState.DENIED),
        ("BillExpirationException", SourceState.FAILED),
        ("RequestChangedException", SourceState.FAILED),
    ],
)
async def test_a_refusal_is_a_state(billed, code, state):
    billed.failure = code
    outcomes = []
    with pytest.raises(CostsUnknown, match=code) as caught:
        await read(asked=outcomes.append)
    assert caught.value.state is state
    assert outcomes == [state.value]


async def test_nobody_listens(billed, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_COST_EXPLORER", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(CostsUnknown) as caught:
        await read()
    assert caught.value.state is SourceState.UNREACHABLE


async def test_no_credentials(billed, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(CostsUnknown) as caught:
        await read()
    assert caught.value.state is SourceState.DENIED


async def test_no_more_than_the_budget_is_asked(billed):
    days = [TODAY]
    made = CostExplorer(
        Tagging(cluster_tags(account.CLUSTER)),
        Query(),
        Budget(22, lambda: days[0]),
        today=lambda: TODAY,
    )
    await made.days(FIRST, AFTER)
    with pytest.raises(CostsUnknown, match="as often as it may be") as caught:
        await made.days(FIRST, AFTER)
    assert caught.value.state is SourceState.OVER_BUDGET
    assert len(billed.asked) == 22
    days[0] += timedelta(days=1)
    assert (await made.days(FIRST, AFTER)).days
    await made.aclose()


async def test_what_is_no_amount_is_a_bad_answer(billed):
    billed.charges = [Charge(FIRST, MACHINES, "NaN")]
    with pytest.raises(CostsUnknown) as caught:
        await read()
    assert caught.value.state is SourceState.BAD_ANSWER


# --- moto ----------------------------------------------------------------------------------------


@pytest.fixture
def moto(monkeypatch) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_COST_EXPLORER": url}.items():
        monkeypatch.setenv(name, value)
    yield url
    server.stop()


async def test_answers_of_moto_are_read(moto):
    """Another's idea of the same API: what it answers with comes through botocore as it is."""

    def result(day: str, *groups: tuple[list[str], str]) -> dict:
        made = [
            {"Keys": keys, "Metrics": {"UnblendedCost": {"Amount": cost, "Unit": "USD"}}}
            for keys, cost in groups
        ]
        period = {"Start": day, "End": day}
        return {"TimePeriod": period, "Total": {}, "Groups": made, "Estimated": False}

    day, hub = "2026-10-01", "2i2c:hub-name$prod"
    results = [
        {"ResultsByTime": [result(day, ([MACHINES, "Usage"], "8.25"), (["Tax", "Tax"], "0.5"))]},
        {"ResultsByTime": [result(day, ([hub, MACHINES], "8.0000000001"))]},
        {"ResultsByTime": [result(day)]},
        {"ResultsByTime": [result(day)]},
    ]
    async with httpx.AsyncClient() as http:
        path = f"{moto}/moto-api/static/ce/cost-and-usage-results"
        answer = await http.post(path, content=json.dumps({"results": results}))
        assert answer.status_code == 201
    bill = await read(FIRST, FIRST + timedelta(days=1))
    assert sums(bill.rows, "hub", "component") == {
        ("prod", "compute"): Decimal("8.0000000001"),
        (None, "compute"): Decimal("0.2499999999"),
        (None, "Tax"): Decimal("0.5"),
    }
