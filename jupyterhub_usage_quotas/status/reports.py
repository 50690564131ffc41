"""Users' status and forecasts as models for JSON: what the Hub and its services answer alike.

Nothing here shows where usage comes from: an address or an error of Prometheus is for admins' logs.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, FiniteFloat

from ..ledger.reports import AdjustmentReport, adjustment_reports
from ..quotas.decide import Outcome
from ..quotas.forecast import HORIZON, Outlook
from ..quotas.policy.selector import ServerAttributes
from ..quotas.serialize import (
    DecisionReport,
    Instant,
    Model,
    NotNegative,
    ReadingState,
    VerdictReport,
    state_of,
)
from .text import Severity
from .users import Forecast as UserForecast
from .users import UserStatus


class Server(Model):
    """What is known of a server."""

    name: str = Field(description="empty for the default server")
    profile: str = Field(description="the slug of its profile; empty without one")
    profile_name: str = Field(description="the display name of its profile; empty without one")
    gpu: bool | None = Field(description="whether it has a GPU; null where that is not known")


class GetsBack(Model):
    """A part of the usage that no longer counts from an instant on."""

    at: Instant
    amount: FiniteFloat


class Verdict(ReadingState, VerdictReport):
    """One verdict, and what comes next."""

    display_name: str = Field(description="the name of the resource on pages")
    window_phrase: str = Field(description="the name of the window on pages")
    severity: Severity = Field(description="how serious it is, as pages show it")
    exhausted_at: Instant | None = Field(
        description="when nothing remains, if the servers that run now go on"
    )
    gets_back: GetsBack | None = Field(
        description="when a part of the allowance worth mentioning comes back; null where none does"
    )
    grants: tuple[AdjustmentReport, ...] = Field(
        description="the adjustments in force, the user's and everyone's, the oldest first"
    )


class Forecast(DecisionReport):
    """How long a server could run, and why not longer."""

    known: bool = Field(description="false where usage is not known")
    lasts_seconds: NotNegative | None = Field(
        description="0 where it is denied; null where nothing ends it within the horizon"
    )
    horizon_seconds: FiniteFloat = Field(description="how far the forecast reaches")


def report_verdict(given: UserStatus, outlook: Outlook) -> Verdict:
    """One verdict and its outlook."""
    return Verdict.of(outlook.verdict, **what_comes_next(given, outlook))


def what_comes_next(given: UserStatus, outlook: Outlook) -> dict[str, Any]:
    """The values of a `Verdict` that the verdict itself does not have."""
    one = outlook.verdict
    unit = one.allotment.limit.unit
    back = given.gets_back(one)
    return {
        **vars(state_of(one.reading)),
        "display_name": given.inputs.policies.resources[one.allotment.resource].display_name,
        "window_phrase": one.allotment.window.phrase,
        "severity": given.severity_of(one),
        "exhausted_at": outlook.exhausted_at,
        "gets_back": GetsBack(at=back.at, amount=back.amount / unit.factor) if back else None,
        "grants": adjustment_reports(given.active(one), given.inputs.policies, given.inputs.now),
    }


def report_forecast(given: UserForecast) -> Forecast:
    """How long a server could run, and why not longer."""
    return Forecast.of(
        given.decision,
        known=given.decision.outcome in (Outcome.ALLOWED, Outcome.DENIED),
        lasts_seconds=None if given.lasts is None else given.lasts.total_seconds(),
        horizon_seconds=HORIZON.total_seconds(),
    )


def report_server(given: ServerAttributes) -> Server:
    """What is known of a server."""
    return Server(
        name=given.name, profile=given.profile, profile_name=given.profile_name, gpu=given.gpu
    )
