"""What was decided about a user goes on under a new name, and about nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm
from sqlalchemy import event
from sqlalchemy.orm import Session

from jupyterhub_usage_quotas import Exemption, Grant, Override
from jupyterhub_usage_quotas.errors import LedgerUnavailable
from jupyterhub_usage_quotas.hub import renaming
from jupyterhub_usage_quotas.hub.renaming import Renaming
from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from jupyterhub_usage_quotas.quotas.subject import EVERYONE, Subject, in_utc

NOW = datetime.now(UTC)
WEEK = timedelta(days=7)


class Hub:
    """A Hub's database, and a ledger; `away` while that does not answer."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.journal = MemoryLedger()
        self.app: Any = SimpleNamespace(db=session, log=logging.getLogger("test"))
        self.renaming = Renaming(self.app, self)  # type: ignore[arg-type]
        self.away = 0
        self.voids_that_fail: list[bool] = []

    def user(self, name: str) -> orm.User:
        user = orm.User(name=name)
        self.session.add(user)
        self.session.commit()
        return user

    async def history(self, *a: Any, **more: Any) -> Any:
        if self.away:
            self.away -= 1
            raise LedgerUnavailable("the database is away")
        return await self.journal.history(*a, **more)

    async def record(self, *a: Any, **more: Any) -> Any:
        return await self.journal.record(*a, **more)

    async def void(self, *a: Any, **more: Any) -> Any:
        if self.voids_that_fail and self.voids_that_fail.pop(0):
            raise LedgerUnavailable("the database is away")
        return await self.journal.void(*a, **more)

    async def decide(self, user: orm.User, *whats: Any) -> None:
        whose = {"user": user.name, "user_created": in_utc(user.created)}
        whose |= {"actor": "tutor", "reason": "ill"}
        for kind, start, until, more in whats:
            await self.journal.record([kind("week", NOW + start, NOW + until, **whose, **more)])

    async def settled(self) -> None:
        """Until all that was noted was carried out."""
        keeping = asyncio.create_task(self.renaming.keep())
        for _ in range(500):
            await asyncio.sleep(0)
        assert self.renaming._renamed.empty()
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping

    async def of(self, user: orm.User) -> list[Any]:
        subject = Subject(str(user.name), created=in_utc(user.created))
        return list((await self.journal.active([subject], NOW)).of(subject))


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = orm.new_session_factory("sqlite:///:memory:")()
    hub = Hub(made)
    hub.renaming.listen(orm.User)
    yield hub
    event.remove(orm.User.name, "set", hub.renaming._is_set)
    made.close()


OVER, NOW_ON, LATER = (-2 * WEEK, -WEEK), (-timedelta(hours=1), WEEK), (WEEK, 2 * WEEK)


async def test_what_is_in_force_or_will_be_goes_on_and_nothing_is_there_twice(hub: Hub):
    ada, other = hub.user("ada"), hub.user("bob")
    await hub.decide(
        ada,
        (Grant, *OVER, {"amount": 1.0}),
        (Grant, *NOW_ON, {"amount": 2.0}),
        (Override, *NOW_ON, {"limit": 3.0}),
        (Exemption, *LATER, {}),
    )
    await hub.decide(other, (Grant, *NOW_ON, {"amount": 9.0}))
    before = await hub.of(ada)
    for name in ("lovelace", "ada", "countess"):
        ada.name = name
        hub.session.commit()
        await hub.settled()
        after = await hub.of(ada)
        assert [(type(one), one.start, one.until) for one in after] == [
            (type(one), one.start, one.until) for one in before
        ]
        assert [getattr(one, "amount", 0) for one in after] == [2.0, 0, 0]
        assert {one.actor for one in after} == {"tutor"}
        assert {one.reason[:3] for one in after} == {"ill"}
    assert [one.amount for one in await hub.of(other)] == [9.0]
    # Whoever gets a name that was left has none of it.
    assert await hub.of(hub.user("ada")) == []
    voided = [one.voided for one in await hub.journal.history(EVERYONE, limit=100) if one.voided]
    assert {one.actor for one in voided} == {"hub"}
    assert len(voided) == 9


async def test_a_change_that_was_taken_back_changes_nothing(hub: Hub):
    ada = hub.user("ada")
    await hub.decide(ada, (Grant, *NOW_ON, {"amount": 2.0}))
    ada.name = "lovelace"
    hub.session.rollback()
    ada.admin = True
    hub.session.commit()
    await hub.settled()
    assert len(await hub.journal.history(EVERYONE)) == 1
    assert [one.amount for one in await hub.of(ada)] == [2.0]


async def test_it_waits_for_a_ledger_that_is_away(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(renaming, "AGAIN", timedelta(0))
    ada = hub.user("ada")
    await hub.decide(ada, (Grant, *NOW_ON, {"amount": 2.0}))
    hub.away = 3
    ada.name = "lovelace"
    hub.session.commit()
    ada.name = "countess"
    hub.session.commit()
    await hub.settled()
    assert [one.amount for one in await hub.of(ada)] == [2.0]
    assert len(await hub.journal.history(EVERYONE)) == 2


async def test_a_long_reason_is_cut_and_a_user_who_is_new_is_not_renamed(hub: Hub):
    ada = hub.user("ada")
    whose = {"user": "ada", "user_created": in_utc(ada.created), "actor": "tutor"}
    start, until = NOW_ON
    long = Grant("week", NOW + start, NOW + until, **whose, reason="x" * 1000, amount=1.0)
    await hub.journal.record([long])
    ada.name = "lovelace"
    hub.session.commit()
    await hub.settled()
    (kept,) = await hub.of(ada)
    assert len(kept.reason) == 1000
    assert kept.reason.endswith(" (the user was renamed)")
    hub.user("new")
    assert hub.renaming._renamed.empty()


@pytest.mark.parametrize("number", range(3))
async def test_a_ledger_that_goes_away_in_between_makes_nothing_twice(
    hub: Hub, number: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(renaming, "AGAIN", timedelta(0))
    ada = hub.user("ada")
    await hub.decide(ada, *((Grant, *NOW_ON, {"amount": amount}) for amount in (2.0, 5.0, 7.0)))
    hub.voids_that_fail = [one == number for one in range(3)]
    ada.name = "lovelace"
    hub.session.commit()
    await hub.settled()
    assert [one.amount for one in await hub.of(ada)] == [2.0, 5.0, 7.0]
