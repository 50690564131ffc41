"""Every answer of the cost monitor about the made-up month is what was worked out by hand, and adds
up to the bill: 681.78.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.support import account
from tests.support.account import DAYS, MACHINES, NOT_KNOWN, RESTATED, Charge, of_hub
from tests.support.cost_explorer import cost_explorer
from tests.support.cost_monitor import OCTOBER, Served, cost_monitor

BILL = Decimal("681.78")


@pytest.fixture(scope="module")
def billed():
    with cost_explorer(account.charges()) as made:
        yield made


@pytest.fixture
async def served(billed, tmp_path) -> AsyncIterator[Served]:
    billed.charges, billed.failure = account.charges(), ""
    async with cost_monitor(tmp_path) as made:
        await made.ask_sources()
        yield made


def read(text: str) -> Any:
    """JSON with all digits of its numbers."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


async def rows(served: Served, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = await served.get(path, **{**OCTOBER, **query})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return read(answer.text)


def sums(found, *names, value="cost") -> dict:
    added: dict = defaultdict(Decimal)
    for row in found:
        at = tuple(row[name] for name in names)
        added[at if len(at) > 1 else at[0]] += row[value]
    return dict(added)


def amounts(**given: str) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in given.items()}


# --- to the cent ---------------------------------------------------------------------------------


async def test_the_account_and_what_is_the_clusters(served):
    found = await rows(served, "total-costs")
    assert sums(found, "name") == amounts(account="681.78", attributable="521.35")
    assert {(row["date"], row["name"]) for row in found} == {
        (str(day), name) for day in DAYS for name in ("account", "attributable")
    }
    of_day = {(row["date"], row["name"]): row["cost"] for row in found}
    assert of_day["2026-10-01", "account"] == Decimal("19.85")
    assert of_day["2026-10-03", "account"] == Decimal("-5.15")
    assert of_day["2026-10-12", "attributable"] == Decimal("21.85")
    assert of_day["2026-10-31", "account"] == Decimal("81.28")


async def test_each_hub(served):
    assert sums(await rows(served, "total-costs-per-hub"), "name") == {
        "prod": Decimal("317.75"),
        "staging": 31,
        "workshop": 30,
        "support": Decimal("142.6"),
        "(not attributed)": Decimal("160.43"),
    }


async def test_each_component(served):
    expected = {
        "compute": 309,
        "home storage": 62,
        "object storage": Decimal("7.75"),
        "core": Decimal("127.1"),
        "networking": Decimal("15.5"),
        "(not attributed)": Decimal("160.43"),
    }
    assert sums(await rows(served, "total-costs-per-component"), "component") == expected


async def test_each_group(served):
    found = sums(await rows(served, "total-costs-per-group"), "usergroup", "kind")
    assert found == {
        ("physics", "user"): Decimal("242.98"),
        ("maths", "user"): Decimal("74.4"),
        ("(no group)", "user"): 47,
        ("(idle)", "idle"): Decimal("0.62"),
        ("(shared)", "shared"): Decimal("150.35"),
        # With the first day of the workshop, of which it is not known who used it.
        ("(not attributed)", "unattributed"): Decimal("166.43"),
    }
    assert sum(found.values()) == BILL


async def test_each_user(served):
    found = await rows(served, "costs-per-user")
    assert sum(row["value"] for row in found) == BILL
    of_users = [row for row in found if row["kind"] == "user"]
    assert sums(of_users, "hub", "user", "component", value="value") == {
        ("prod", "ada", "compute"): 93,
        ("prod", "ada", "home storage"): Decimal("55.8"),
        ("prod", "bob", "compute"): 155,
        ("prod", "bob", "home storage"): Decimal("5.58"),
        ("staging", "eve", "compute"): 31,
        ("workshop", "ada", "compute"): 8,
        ("workshop", "eve", "compute"): 16,
    }
    # Who is in two groups counts half in each.
    ada = [row for row in of_users if row["user"] == "ada" and row["hub"] == "prod"]
    assert sums(ada, "usergroup", value="value") == amounts(maths="74.4", physics="74.4")
    unknown = [row for row in found if row["kind"] == "unattributed" and row["hub"] == "workshop"]
    assert [(row["date"], row["value"]) for row in unknown] == [(str(NOT_KNOWN), 6)]


async def test_shares_of_users_in_what_was_used(served):
    found = await rows(served, "total-usage")
    shares = sums(found, "date", "hub", "component", value="value")
    assert set(shares.values()) == {1}
    of_day = [row for row in found if row["date"] == "2026-10-13"]
    assert sums(of_day, "hub", "component", "user", value="value") == {
        ("prod", "compute", "ada"): Decimal("0.375"),
        ("prod", "compute", "bob"): Decimal("0.625"),
        ("prod", "home storage", "ada"): Decimal("0.9"),
        ("prod", "home storage", "bob"): Decimal("0.09"),
        ("prod", "home storage", "(idle)"): Decimal("0.01"),
        ("staging", "compute", "eve"): 1,
        ("workshop", "compute", "ada"): Decimal("0.3333333333"),
        ("workshop", "compute", "eve"): Decimal("0.6666666667"),
    }
    only = await rows(served, "total-usage", hub="prod", component="compute", user="ada")
    assert {row["value"] for row in only} == {Decimal("0.375")}


NAMES = [
    ("hub-names", {}, ["prod", "staging", "support", "workshop"]),
    ("hub-names", {"from": "2026-10-01", "to": "2026-10-05"}, ["prod", "staging", "support"]),
    ("component-names", {}, ["compute", "home storage"]),
    (
        "users-with-multiple-groups",
        {},
        [
            {"username": "ada", "hub": "prod", "usergroup": "maths"},
            {"username": "ada", "hub": "prod", "usergroup": "physics"},
        ],
    ),
    ("users-with-multiple-groups", {"user_name": "bob"}, []),
    (
        "users-with-no-groups",
        {},
        [{"username": "eve", "hub": "staging"}, {"username": "eve", "hub": "workshop"}],
    ),
    ("users-with-no-groups", {"hub_name": "staging"}, [{"username": "eve", "hub": "staging"}]),
    (
        "user-groups",
        {"hub": "prod", "usergroup": "{maths,other}"},
        [
            {
                "hub": "prod",
                "username": "ada",
                "username_escaped": "ada",
                "usergroup": "maths",
            }
        ],
    ),
]


async def test_names(served):
    for path, query, expected in NAMES:
        assert await rows(served, path, **query) == expected


# --- filters and their rest ----------------------------------------------------------------------

PATHS = {
    "total-costs-per-hub": "cost",
    "total-costs-per-component": "cost",
    "total-costs-per-group": "cost",
    "costs-per-user": "value",
}
QUERIES = [
    {},
    {"hub": "prod"},
    {"hub": "{prod,staging}", "component": "compute"},
    {"hub": "support"},
    {"component": "core"},
    {"hub": "All", "component": "all"},
    {"hub": "nowhere"},
]


async def test_rows_and_rest_are_the_bill(served):
    for path, query, decimals in itertools.product(PATHS, QUERIES, [None, 2, 0]):
        await rows_and_rest_are_the_bill(served, path, query, decimals)


async def rows_and_rest_are_the_bill(served, path, query, decimals):
    more = {} if decimals is None else {"decimals": decimals}
    answer = await served.get(path, **{**OCTOBER, **query, **more})
    shown = sum(row[PATHS[path]] for row in read(answer.text))
    rest = Decimal(answer.headers["X-Costs-Rest"].removesuffix(" USD"))
    expected = BILL if decimals is None else round(BILL, decimals)
    assert shown + rest == expected
    with_rest = await rows(served, path, **query, **more, rest="true")
    assert sum(row[PATHS[path]] for row in with_rest) == expected
    assert {row["kind"] for row in with_rest if "(not shown)" in row.values()} <= {"rest"}


async def test_users_and_groups_can_be_filtered(served):
    of_ada = await rows(served, "costs-per-user", user="ada")
    assert sums(of_ada, "user", value="value") == {"ada": Decimal("156.8")}
    maths = await rows(served, "costs-per-user", usergroup="{maths}")
    assert sums(maths, "user", "usergroup", value="value") == {("ada", "maths"): Decimal("74.4")}
    group = await rows(served, "total-costs-per-group", usergroup="maths", hub="prod")
    assert sums(group, "usergroup") == {"maths": Decimal("74.4")}


async def test_the_users_who_cost_most(served):
    found = await rows(served, "costs-per-user", limit="1")
    assert sum(row["value"] for row in found) == BILL
    of = sums([row for row in found if row["kind"] in ("user", "others")], "user", value="value")
    assert of == {"bob": Decimal("160.58"), "(other users)": Decimal("203.8")}
    for none in ("", "All", "0"):
        assert len(await rows(served, "costs-per-user", limit=none)) == len(
            await rows(served, "costs-per-user")
        )


async def test_any_instant_is_a_day(served):
    as_grafana_sends = {"from": "2026-10-12T22:00:00.000Z", "to": "2026-10-13T01:00:00+02:00"}
    found = await rows(served, "total-costs-per-hub", **as_grafana_sends)
    assert {row["date"] for row in found} == {"2026-10-12"}


async def test_a_long_range_and_one_that_is_not_over_are_fine(served):
    found = await rows(served, "total-costs", **{"from": "2017-01-01", "to": "2027-01-01"})
    assert sums(found, "name")["account"] == BILL
    usual = await served.get("total-costs")
    days = [row["date"] for row in read(usual.text)]
    assert (min(days), max(days)) == ("2026-10-21", "2026-10-31")


WRONG = [
    ({"from": "yesterday"}, "from", "for example 2026-11-24"),
    ({"to": "2026-13-01"}, "to", "for example 2026-11-24"),
    ({"from": "2026-10-05", "to": "2026-10-01"}, "from", "at most to, which is 2026-10-01"),
    ({"from": "1900-01-01", "to": "2026-10-01"}, "from", "at most 3660 days"),
    ({"limit": "abc"}, "limit", "a whole number from 0 to 100000"),
    ({"limit": "-1"}, "limit", "a whole number from 0"),
    ({"decimals": "11"}, "decimals", "a whole number from 0 to 10"),
    ({"rest": "yes"}, "rest", "true, false"),
    ({"hubs": "prod"}, "hubs", "did you mean hub?"),
    ({"user": "x" * 20_001}, "user", "at most 20000 characters"),
]


async def test_what_is_wrong_says_what_is_right(served):
    for query, name, expected in WRONG:
        answer = await served.get("costs-per-user", **query)
        assert answer.status_code == 400
        problem = answer.json()
        assert problem["parameter"] == name
        assert expected in problem["detail"]


# --- what is not known ---------------------------------------------------------------------------


async def test_no_costs_are_not_zero(billed, tmp_path):
    billed.failure = "ThrottlingException"
    async with cost_monitor(tmp_path) as served:
        before = await served.get("total-costs", **OCTOBER)
        assert before.status_code == 503
        assert "aws is not_asked" in before.json()["detail"]
        await served.ask_sources()
        answer = await served.get("costs-per-user", **OCTOBER)
        assert answer.status_code == 503
        assert "aws is throttled: Cost Explorer refused" in answer.json()["detail"]
        assert (await served.get("health/ready")).status_code == 200
        page = (await served.get("metrics")).text
        state = 'jupyterhub_usage_quotas_cost_source_state{source="aws",state="%s"} %s'
        assert state % ("throttled", "1.0") in page
        assert state % ("ok", "0.0") in page
        assert 'cost_explorer_requests_total{outcome="throttled"} 1.0' in page


async def test_days_that_are_missing_are_said(served, billed):
    found = await served.get("total-costs", **{"from": "2026-10-30", "to": "2026-11-19"})
    assert found.headers["X-Costs-Missing-Days"] == "2026-11-17, 2026-11-18, 2026-11-19"
    assert found.headers["X-Costs-State"] == "aws=not_ready"
    none = await served.get("total-costs", **{"from": "2026-11-18", "to": "2026-11-19"})
    assert none.status_code == 503


async def test_an_estimate_is_one_until_the_day_is_restated(billed, tmp_path):
    estimated = [replace(one, estimated=True) for one in account.charges()]
    billed.charges, billed.failure = estimated, ""
    async with cost_monitor(tmp_path) as served:
        await served.ask_sources()
        before = await rows(served, "total-costs")
        assert {row["final"] for row in before} == {False}
        billed.charges = account.charges(restated=True)
        served.clock.now += timedelta(hours=8)
        await served.ask_sources()
        after = await rows(served, "total-costs")
        assert {row["final"] for row in after} == {True}
        assert sums(after, "name")["account"] == Decimal("681.88")
        of_day = {row["name"]: row["cost"] for row in after if row["date"] == str(RESTATED)}
        assert of_day == amounts(account="19.95", attributable="15.95")


# --- whoever asks --------------------------------------------------------------------------------


async def test_strangers_see_nothing(served):
    for header in (None, "", "token wrong", "Basic abc", "token", "bearer \u00e9"):
        await stranger_sees_nothing(served, header)


async def stranger_sees_nothing(served, header):
    headers = {} if header is None else {"Authorization": header.encode()}
    async with httpx.AsyncClient(base_url=served.url) as stranger:
        for path in ("total-costs", "user-groups", "api/v1/costs", "api/v1/sources"):
            answer = await stranger.get(path, headers=headers)
            assert answer.status_code == 401
            assert "681" not in answer.text
        for path in ("health/ready", "metrics", "api/v1/openapi.json", ""):
            assert (await stranger.get(path, headers=headers)).status_code == 200


async def test_anybody_may_ask_behind_a_network_policy(billed, tmp_path):
    async with cost_monitor(tmp_path, token="", allow_without_token=True) as served:
        await served.ask_sources()
        async with httpx.AsyncClient(base_url=served.url) as stranger:
            assert (await stranger.get("total-costs", params=OCTOBER)).status_code == 200


async def test_labels_are_bounded(served):
    for number in range(20):
        assert (await served.get(f"nowhere/{number}")).status_code == 404
        await served.http.request(f"METHOD{number}", served.url + "total-costs")
    page = (await served.get("metrics")).text
    counted = [line for line in page.splitlines() if "cost_monitor_http_requests_total{" in line]
    assert len(counted) < 10
    assert any('endpoint="other"' in line for line in counted)


# --- our own API ---------------------------------------------------------------------------------


async def test_costs_by_anything(served):
    answer = await served.get("api/v1/costs", **OCTOBER, by="kind", decimals="2")
    found = answer.json()
    assert found["bill"] == {"USD": "681.78"}
    assert {row["kind"]: row["amount"] for row in found["rows"]} == {
        "user": "364.38",
        "idle": "0.62",
        "shared": "150.35",
        "unattributed": "166.43",
    }
    assert found["missing"] == []
    wrong = await served.get("api/v1/costs", by="month")
    assert (wrong.status_code, wrong.json()["parameter"]) == (400, "by")


async def test_costs_as_a_table(served):
    answer = await served.get("api/v1/costs", **OCTOBER, by="user", usergroup="maths", format="csv")
    assert answer.headers["content-type"] == "text/csv"
    lines = list(csv.reader(answer.text.splitlines()))
    assert lines == [
        ["user", "amount", "currency", "remark"],
        ["ada", "74.4", "USD", ""],
        ["(not shown)", "607.38", "USD", ""],
        ["(bill)", "681.78", "USD", ""],
    ]


async def test_how_it_is_with_sources(served):
    (source,) = (await served.get("api/v1/sources")).json()["sources"]
    assert (source["name"], source["state"]) == ("aws", "not_ready")
    assert source["known_until"] == "2026-11-17T00:00:00Z"


async def test_names_of_any_kind_are_answered(billed, tmp_path):
    hub = '<script>"\\\n{a,b}'
    billed.charges, billed.failure = [Charge(DAYS[0], MACHINES, "1", of_hub(hub))], ""
    async with cost_monitor(tmp_path) as served:
        await served.ask_sources()
        found = await rows(served, "total-costs-per-hub")
        assert [row["name"] for row in found] == [hub]
