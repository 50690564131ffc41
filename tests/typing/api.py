"""What the names of `jupyterhub_usage_quotas` promise to a type checker: `make lint` checks this
with mypy --strict, and nothing runs it. A line that must not be accepted has a `type: ignore`,
which is an error itself where there is nothing to ignore.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal, assert_type

from traitlets.config import Config

import jupyterhub_usage_quotas as quotas
from jupyterhub_usage_quotas import (
    EVERYONE,
    NO_LEDGER,
    Adjustment,
    Adjustments,
    ConfigurationError,
    Decision,
    DecisionObserver,
    DecisionRecord,
    Exemption,
    Grant,
    InvalidAdjustment,
    Journal,
    LaunchDenied,
    Ledger,
    MemoryLedger,
    Outcome,
    Override,
    Request,
    Subject,
    UsageQuotaManager,
    UsageQuotasError,
    UsageUnknown,
    Verdict,
    Voided,
    setup_usage_quotas,
)


def configure(c: Config) -> None:
    assert_type(setup_usage_quotas(c), None)
    setup_usage_quotas()  # type: ignore[call-arg]
    assert_type(quotas.__version__, str)
    quotas.nothing_of_the_kind  # type: ignore[attr-defined]  # noqa: B018


class Authenticator:
    """An authenticator of an admin's own."""

    def __init__(self, config: Config) -> None:
        self.quotas = UsageQuotaManager(config=config, ledger=MemoryLedger())

    async def pre_spawn_start(self, user: Any, spawner: Any) -> None:
        try:
            await self.quotas.pre_spawn_start(user, spawner)
        except LaunchDenied as denied:
            denied.headers["X-Quota"] = "denied"
            raise


class OwnLedger:
    """A ledger of an admin's own."""

    async def active(
        self, subjects: Collection[Subject] | Literal[""], at: datetime
    ) -> Adjustments:
        return Adjustments()

    async def aclose(self) -> None: ...


class PerUser:
    """The wrong question: a ledger is asked for many users at once."""

    async def active(self, user: str, at: datetime) -> Adjustments:
        return Adjustments()

    async def aclose(self) -> None: ...


class Counted:
    """An observer of an admin's own."""

    def decided(self, record: DecisionRecord) -> None:
        assert_type(record.decision, Decision)
        assert_type(record.denied, bool)


def ports() -> None:
    one: Ledger = OwnLedger()
    two: Journal = MemoryLedger()
    three: Ledger = two
    four: Ledger = NO_LEDGER
    five: Ledger = PerUser()  # type: ignore[assignment]
    six: Journal = OwnLedger()  # type: ignore[assignment]
    seven: DecisionObserver = Counted()
    print(one, two, three, four, five, six, seven)


async def people(journal: Journal, now: datetime) -> None:
    grant = Grant("week", now, now, "ada", amount=3600.0, actor="tutor", reason="late")
    Grant("week", now, now)  # type: ignore[call-arg]
    grant.amount = 7200.0  # type: ignore[misc]
    made = await journal.record([grant, Override("week", now, now, limit=0.0)], key="k")
    assert_type(made, Sequence[Adjustment])
    voided = await journal.void(made[0].id, actor="tutor", reason="a slip")
    assert_type(voided.voided, Voided | None)
    await journal.void(made[0].id)  # type: ignore[call-arg]
    found = await journal.active(EVERYONE, now)
    assert_type(found.of(Subject("ada")), tuple[Adjustment, ...])
    await journal.active("ada", now)  # type: ignore[arg-type]
    await journal.active([Subject("ada")], now)
    print(Exemption("week", now, now))


def decisions(manager: UsageQuotaManager, decision: Decision) -> None:
    manager.observers.append(Counted())
    manager.observers.append(OwnLedger())  # type: ignore[arg-type]
    assert_type(decision.request, Request)
    assert_type(decision.outcome, Outcome)
    assert_type(decision.verdicts, tuple[Verdict, ...])
    assert_type(decision.retry_time, datetime | None)


def failures(error: UsageQuotasError) -> None:
    if isinstance(error, ConfigurationError | InvalidAdjustment):
        assert_type(error.errors, tuple[str, ...])
    if isinstance(error, UsageUnknown):
        assert_type(error.counts_against_prometheus, bool)
