"""Daily usage and costs in SQLite, PostgreSQL and MariaDB: a day is replaced as a whole, that it
was another is said, and what cannot be written is nobody's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from jupyterhub_usage_quotas.costs.cost_store import CostDay, CostStore
from jupyterhub_usage_quotas.costs.usage_store import UsageDay, UsageStore, Used
from jupyterhub_usage_quotas.costs.values import CostRow
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url

FIRST = date(2026, 10, 1)
SECOND = FIRST + timedelta(days=1)
LAST = FIRST + timedelta(days=2)
NOW = datetime(2026, 10, 4, 12, 0, 0, 123456, UTC)
LATER = NOW + timedelta(days=1)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    made = Database(parse_ledger_url(url))
    yield made
    await made.aclose()


# --- usage ---------------------------------------------------------------------------------------


async def test_a_day_of_a_hub_is_kept_and_found(database):
    store = UsageStore(database)
    used = [
        Used("ada", "large", "memory", 5),
        Used("ada", "", "memory", 7),
        # Spaces, case, and four bytes make other users.
        Used("ada ", "", "memory", 11),
        Used("Ada", "", "memory", 13),
        Used("ädä 🎓", "", "cpu", 2**62),
    ]
    assert not await store.write(FIRST, "prod", used, 0.25, NOW)
    assert not await store.write(FIRST, "staging", [], 1.0, NOW)
    assert await store.days(FIRST, SECOND) == {
        (FIRST, "prod"): UsageDay(0.25, NOW, 0),
        (FIRST, "staging"): UsageDay(1.0, NOW, 0),
    }
    found = await store.usage(FIRST, LAST)
    # A day on which nobody used anything is there, one that is not known is not.
    assert found.keys() == {FIRST}
    assert found[FIRST].used == {
        "prod": {
            "ada": {"memory": 12},
            "ada ": {"memory": 11},
            "Ada": {"memory": 13},
            "ädä 🎓": {"cpu": 2**62},
        },
        "staging": {},
    }
    assert await store.users("prod") == {"ada", "ada ", "Ada", "ädä 🎓"}


async def test_a_day_that_is_read_again_is_replaced_and_says_so(database):
    store = UsageStore(database)
    used = [Used("bob", "", "cpu", 1), Used("ada", "", "cpu", 2)]
    await store.write(FIRST, "prod", used, 1.0, NOW)
    await store.write(SECOND, "prod", used, 1.0, NOW)
    # The same in another order is the same.
    assert not await store.write(FIRST, "prod", used[::-1], 1.0, LATER)
    assert (await store.days(FIRST, SECOND))[FIRST, "prod"] == UsageDay(1.0, LATER, 0)
    assert await store.write(FIRST, "prod", used[:1], 1.0, LATER)
    assert (await store.days(FIRST, SECOND))[FIRST, "prod"].restated == 1
    assert (await store.usage(FIRST, SECOND))[FIRST].used == {"prod": {"bob": {"cpu": 1}}}
    assert (await store.usage(SECOND, LAST))[SECOND].used["prod"].keys() == {"ada", "bob"}


async def test_what_cannot_be_written_is_nobodys(database):
    store = UsageStore(database)
    names = ["\ud800", "a\0b", "x" * 256]
    used = [*(Used(name, name, "cpu", 1) for name in names), Used("ada", "", "cpu", 1)]
    await store.write(FIRST, "prod", used, 1.0, NOW)
    assert (await store.usage(FIRST, SECOND))[FIRST].used == {
        "prod": {"": {"cpu": 3}, "ada": {"cpu": 1}}
    }
    assert await store.users("prod") == {"ada"}


async def test_many_users_are_kept_at_once(database):
    store = UsageStore(database)
    await store.write(FIRST, "prod", [Used(f"u{n}", "", "cpu", n + 1) for n in range(2500)], 1, NOW)
    assert len((await store.usage(FIRST, SECOND))[FIRST].used["prod"]) == 2500


async def test_groups_are_those_of_the_day(database):
    store = UsageStore(database)
    await store.note_groups(SECOND, "prod", {"ada": ["maths", "physics"], "bob": []})
    await store.note_groups(SECOND, "staging", {"ada": ["other"]})
    await store.note_groups(LAST, "prod", {"ada": ["physics", "maths"], "eve": ["maths"]})
    after = LAST + timedelta(days=1)
    await store.note_groups(after, "prod", {"ada": ["maths"]})
    await store.note_groups(after, "prod", {"ada": ["physics"]})
    theirs = ("maths", "physics")
    # Before anybody looked, groups are taken to be those that were seen first.
    assert (await store.groups(FIRST))["prod", "ada"] == theirs
    assert (await store.groups(LAST))["prod", "ada"] == theirs
    assert await store.groups(after) == {
        ("prod", "ada"): ("physics",),
        ("prod", "bob"): (),
        ("prod", "eve"): (),
        ("staging", "ada"): ("other",),
    }


async def test_old_days_are_pruned(database):
    usage, costs = UsageStore(database), CostStore(database)
    for day in (FIRST, SECOND):
        await usage.write(day, "prod", [Used("ada", "", "cpu", 1)], 1.0, NOW)
        await costs.write("aws", [row(day)], {day: True}, NOW)
    assert (await usage.prune(SECOND), await costs.prune(SECOND)) == (1, 1)
    assert (await usage.usage(FIRST, LAST)).keys() == {SECOND}
    assert [one.day for one in await costs.rows(["aws"], FIRST, LAST)] == [SECOND]
    assert (await costs.days("aws", FIRST, LAST)).keys() == {SECOND}


# --- costs ---------------------------------------------------------------------------------------


def row(day=FIRST, hub="prod", amount="1.00000000000000000001", *, final=True, service="EC2"):
    return CostRow(day, hub, "compute", Decimal(amount), "USD", final, service)


async def test_rows_are_exact(database):
    store = CostStore(database)
    rows = [
        row(),
        row(hub="", amount="-12345678901234.12345678901234567890"),
        row(hub=None, amount="1E-18"),
        row(SECOND, final=False),
    ]
    await store.write("aws", rows, {FIRST: True, SECOND: False, LAST: True}, NOW)
    await store.write("focus", [row(amount="7")], {FIRST: True}, NOW)
    after = LAST + timedelta(days=1)
    assert await store.rows(["aws"], FIRST, after) == rows
    assert len(await store.rows(["aws", "focus"], FIRST, SECOND)) == 4
    # That nothing was charged on a day is known, too.
    assert await store.days("aws", FIRST, after) == {
        FIRST: CostDay(True, NOW, 0),
        SECOND: CostDay(False, NOW, 0),
        LAST: CostDay(True, NOW, 0),
    }


async def test_an_estimate_is_replaced_and_a_final_day_never_silently(database):
    store = CostStore(database)
    await store.write("aws", [row(amount="1", final=False)], {FIRST: False}, NOW)
    assert await store.write("aws", [row(amount="2")], {FIRST: True}, LATER) == []
    assert await store.write("aws", [row(amount="2.00")], {FIRST: True}, LATER) == []
    assert await store.write("aws", [row(amount="3")], {FIRST: True}, LATER) == [FIRST]
    assert [one.amount for one in await store.rows(["aws"], FIRST, LAST)] == [3]
    assert await store.days("aws", FIRST, LAST) == {FIRST: CostDay(True, LATER, 1)}


async def test_what_cannot_be_named_is_not_lost(database):
    store = CostStore(database)
    await store.write(
        "aws", [row(hub="\ud800", service="\0"), row(hub="x" * 300)], {FIRST: True}, NOW
    )
    found = await store.rows(["aws"], FIRST, SECOND)
    assert [one.hub for one in found] == [None, None]
    assert await store.write("aws", [], {}, NOW) == []


async def test_users_are_not_told_apart_where_nobody_asks(database):
    store = UsageStore(database)
    used = [Used("ada", "", "cpu", 1), Used("bob", "", "cpu", 2), Used("", "", "cpu", 4)]
    await store.write(FIRST, "prod", used, 1.0, NOW)
    found = await store.usage(FIRST, SECOND, by_user=False)
    assert found[FIRST].used == {"prod": {"everybody": {"cpu": 3}, "": {"cpu": 4}}}
