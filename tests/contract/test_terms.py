"""What is remembered of admins' functions, in SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from jupyterhub_usage_quotas.ledger.sql.cached import CachedLedger
from jupyterhub_usage_quotas.ledger.sql.schema import TERMS
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.quotas.adjustments import Terms
from jupyterhub_usage_quotas.quotas.subject import EVERYONE, Subject
from tests.contract.test_ledgers import HOSTILE

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
async def pair(url):
    made = [CachedLedger(SqlLedger.at(url)) for _ in range(2)]
    for one in made:
        one.journal.database.upgrades = True
        await one.refresh()
    yield made
    for one in made:
        await one.aclose()


def terms(user="ada", policy="credits", limit=30.25, created=NOW, **more):
    refill = (1 / 3, timedelta(seconds=600))
    return Terms.of_user(policy, user, created, limit, refill, **more)


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_one_process_remembers_another_reads(pair, text: str):
    hub, viewer = pair
    said = [terms(text, text), terms(text, "other", None, assigned=False)]
    await hub.remember(text, said, NOW)
    await viewer.refresh()
    found = await viewer.active([Subject(text, created=NOW)], NOW)
    assert sorted(found.by_user[text], key=lambda one: one.policy == "other") == said
    assert found.assigned == {text: {text}}
    assert (await viewer.active(EVERYONE, NOW)).by_user[text] == found.by_user[text]
    # A user who is made anew under the name has none of it.
    made_anew = Subject(text, created=NOW + timedelta(days=1))
    assert found.of(made_anew) == ()


async def test_what_is_said_last_counts(pair):
    hub, viewer = pair
    await hub.remember("ada", [terms(limit=1.0), terms(policy="p")], NOW)
    await viewer.refresh()
    later = NOW + timedelta(seconds=1)
    await hub.remember("ada", [terms(limit=2.0)], later)
    await hub.remember("bob", [terms("bob")], later)
    await viewer.refresh()
    found = await viewer.active(EVERYONE, NOW)
    assert [one.limit for one in found.by_user["ada"]] == [2.0]
    assert found.assigned == {"credits": {"ada", "bob"}}


async def test_what_somebody_else_wrote_takes_nothing_with_it(pair):
    hub, viewer = pair
    await hub.remember("ada", [terms()], NOW)
    bad = {"username": "eve", "policy": "credits", "said": '{"limit": -1}', "at": 1}
    await hub.journal.database.write(lambda connection: connection.execute(TERMS.insert(), [bad]))
    await viewer.refresh()
    found = await viewer.active(EVERYONE, NOW)
    assert found.by_user["ada"] == (terms(),)
    assert [(one.limit, one.assigned) for one in found.by_user["eve"]] == [(None, False)]
    assert (
        await viewer.journal.database.read(
            lambda connection: connection.execute(
                sa.select(sa.func.count()).select_from(TERMS)
            ).scalar()
        )
        == 2
    )
