"""The port of sources: what was charged on each day, and why that is not known."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...errors import UsageQuotasError
from ..values import CostRow

Date = datetime.date
DAY = datetime.timedelta(days=1)


class SourceState(enum.StrEnum):
    """How it is with a source: the label `state` of its metric, and `state` in JSON."""

    OK = "ok"
    NOT_ASKED = "not_asked"
    NOT_READY = "not_ready"
    """It has nothing yet of the last days."""
    TAGS_NOT_ACTIVE = "tags_not_active"
    """It has costs, and none of them with a tag of the cluster."""
    HUBS_NOT_TAGGED = "hubs_not_tagged"
    """It has costs of the cluster, and none of them with the tag of a hub."""
    THROTTLED = "throttled"
    OVER_BUDGET = "over_budget"
    """It was asked as often as it may be on a day."""
    DENIED = "denied"
    """It does not accept our credentials, or those may not ask this."""
    TOO_NEW = "too_new"
    """The account is so new that it has no data yet."""
    UNREACHABLE = "unreachable"
    BAD_ANSWER = "bad_answer"
    FAILED = "failed"


class CostsUnknown(UsageQuotasError):
    """A source did not say what was charged; `state` is why."""

    def __init__(self, state: SourceState, detail: str) -> None:
        super().__init__(detail)
        self.state = state


@dataclass(frozen=True, slots=True)
class Bill:
    """What a source says: rows, and the days that it says all of, with whether that is final. A day
    that is not among them is not known; one without rows cost nothing.
    """

    rows: Sequence[CostRow]
    days: Mapping[Date, bool]
    state: SourceState = SourceState.OK
    detail: str = ""


class CostSource(Protocol):
    """Where a bill comes from."""

    @property
    def name(self) -> str:
        """What an admin calls it."""
        ...

    @property
    def asks_little(self) -> bool:
        """Whether each question costs something, so that only days are asked for that are missing
        or estimated.
        """
        ...

    async def days(self, since: Date, until: Date) -> Bill:
        """What was charged from `since` to before `until`. Raises `CostsUnknown`."""
        ...

    async def aclose(self) -> None:
        """Close what is open."""
        ...


def days_between(since: Date, until: Date) -> list[Date]:
    """The days from one to before another."""
    return [since + DAY * number for number in range((until - since).days)]
