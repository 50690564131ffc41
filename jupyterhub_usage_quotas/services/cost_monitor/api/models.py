"""What the cost monitor's API answers with."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """What all of them have in common."""

    model_config = ConfigDict(frozen=True)


class CostRow(Model):
    """A sum of costs. What they are not summed up by is null."""

    amount: str = Field(description="exact, as decimal digits")
    currency: str
    final: bool = Field(description="false where any of it is an estimate")
    day: date | None = None
    hub: str | None = Field(default=None, description="null for what is not the cluster's")
    component: str | None = None
    kind: str | None = Field(
        default=None, description="user, idle, shared, unattributed, or others"
    )
    user: str | None = None
    group: str | None = None


class CostReport(Model):
    """Costs of some days. The rows and the rest are the bill."""

    since: date = Field(description="the first day")
    until: date = Field(description="the day after the last")
    bill: dict[str, str] = Field(description="all that was charged, by currency")
    rest: dict[str, str] = Field(description="what the filters hide, by currency")
    missing: list[date] = Field(description="the days that are not known; their costs are not 0")
    rows: list[CostRow]


class Source(Model):
    """How it is with a source of costs."""

    name: str
    state: str
    detail: str
    asked: datetime | None = Field(description="when it was asked last")
    known_until: datetime | None = Field(description="the end of the last day that is known")
    restated: list[date] = Field(description="final days of which it said something else later")


class Sources(Model):
    """How it is with all sources."""

    sources: list[Source]
