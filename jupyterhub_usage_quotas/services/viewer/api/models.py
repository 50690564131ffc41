"""The models of the answers of the viewer's JSON API, and of their description.

Nothing here shows where usage comes from: an address or an error of Prometheus is for admins' logs.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, NonNegativeInt, WithJsonSchema

from ....config.quotas import Enforcement
from ....ledger.reports import RecordedReport
from ....quotas.decide import Outcome
from ....quotas.policy.policy import Share, WhenExhausted
from ....quotas.serialize import (
    Coverage,
    DecisionSummary,
    GaugeReport,
    HomeStorage,
    Instant,
    Model,
    NotNegative,
    ReadingState,
    VerdictSummary,
)
from ....status.reports import Server, Verdict
from ..table import STATES

RowState = Annotated[str, WithJsonSchema({"type": "string", "enum": list(STATES)})]


class Amount(Model):
    """An amount in a unit."""

    amount: FiniteFloat
    unit: str


# A user's status: the name is published in the description of the API.
class Standing(DecisionSummary):
    """Where a user stands: the decision on a server that asks for nothing but to run."""

    as_of: Instant = Field(description="the instant of these figures")
    enforcement: Enforcement = Field(
        description="whether the Hub acts on this decision: only with `enforcement = 'enforce'`"
    )
    running_servers: tuple[Server, ...] = Field(
        description="the servers that ran when usage was last measured"
    )
    gauges: dict[str, GaugeReport] = Field(
        description="what the user has now, by resource, with or without a policy; without"
        " resources that nothing exports"
    )
    home_storage: HomeStorage | None = Field(
        description="what is in the user's home directory; null where nothing exports home storage"
    )
    verdicts: tuple[Verdict, ...] = Field(
        description="one for each combination of resource, window and servers; empty where no"
        " policy covers the user"
    )


class RowVerdict(VerdictSummary):
    """One verdict in the table of all users."""

    state: Literal["fresh", "stale", "unknown"] = Field(description="whether usage is known")
    share: NotNegative | None = Field(
        description="the share of the allowance that is used; null where that is not known"
    )
    exhausted_at: Instant | None = Field(
        description="when nothing remains, if the servers that run now go on"
    )


class Row(Model):
    """A user in the table of all users."""

    user: str
    groups: tuple[str, ...] = Field(description="sorted")
    admin: bool
    outcome: Outcome = Field(description="of a server that asks for nothing but to run")
    retry_time: Instant | None = Field(
        description="when all verdicts fit, if nothing more is used; null when not denied, or never"
    )
    state: RowState = Field(
        description="how serious the worst quota is; `low`: most of it is used, or will be within a"
        " day with the servers that run; `none`: no quota applies"
    )
    verdicts: tuple[RowVerdict, ...]


class Rows(Model):
    """A page of the table of all users."""

    as_of: Instant = Field(description="the instant of these figures")
    items: tuple[Row, ...]
    total: NonNegativeInt = Field(description="the number of users on all pages")
    offset: NonNegativeInt
    limit: NonNegativeInt
    next: str | None = Field(description="the address of the next page; null after the last one")


class Limit(Model):
    """A limit as an admin wrote it."""

    value: FiniteFloat | None = Field(description="null where it is `exported`: each user's own")
    unit: str


class Selector(Model):
    """Which servers a policy is about: all where nothing is given."""

    profile: tuple[str, ...] = Field(description="patterns of slugs or display names of profiles")
    except_profile: tuple[str, ...] = Field(description="patterns that none of these matches")
    name: tuple[str, ...] = Field(description="patterns of names of servers")
    gpu: bool | None = Field(description="whether they have a GPU")
    kind: tuple[str, ...] = Field(description="patterns of kinds: `server`, or a container's name")


class Policy(Model):
    """A policy, for those whom it covers."""

    name: str
    resource: str
    display_name: str = Field(description="the name of the resource on pages")
    limit: Limit
    window: str
    window_phrase: str = Field(description="the name of the window on pages")
    servers: Selector
    share: Share
    overflow: Share | None
    minimum_session_seconds: FiniteFloat
    when_exhausted: WhenExhausted


class Glob(Model):
    """A pattern of names."""

    glob: str


Whom = dict[Literal["group", "user", "everyone", "admin"], tuple[str | Glob, ...] | Literal[True]]


class PolicyAndScope(Policy):
    """A policy with the users that it covers, for visitors who may see all users."""

    scope: Whom | None = Field(
        description="the users it covers, as an admin writes them; null for a policy in `empty`,"
        " which covers users without any other"
    )
    exempt: Whom = Field(description="the users it exempts")


class Policies(Model):
    """The policies that the visitor may know of."""

    items: tuple[PolicyAndScope | Policy, ...]


class Adjustments(Model):
    """Adjustments that were made together, in the order of the users."""

    items: tuple[RecordedReport, ...]


class History(Model):
    """A page of adjustments, the newest first."""

    items: tuple[RecordedReport, ...]
    next: str | None = Field(
        description="the address of the next page; null after the last one. A page can have fewer"
        " than `limit`, or none, although another follows: so many were looked at"
    )


class Bucket(Model):
    """What servers of one kind used in an interval."""

    start: Instant = Field(serialization_alias="from")
    end: Instant = Field(serialization_alias="to")
    amount: FiniteFloat
    server: Server


class UsageOverTime(ReadingState, Coverage):
    """The course of one resource."""

    user: str
    resource: str
    unit: str = Field(description="the unit of amounts")
    start: Instant = Field(serialization_alias="from")
    end: Instant = Field(serialization_alias="to")
    step_seconds: NonNegativeInt = Field(
        description="the length of buckets; the first and the last may be shorter"
    )
    buckets: tuple[Bucket, ...] | None = Field(
        description="those in which something was used, in time order; null where nothing is known"
    )


class Session(Model):
    """A server that ran."""

    server: Server
    start: Instant = Field(serialization_alias="from")
    end: Instant = Field(serialization_alias="to")
    ongoing: bool = Field(description="whether it still ran when usage was last measured")
    used: dict[str, Amount] = Field(description="what it used, by resource")


class Sessions(Coverage):
    """The servers behind a user's usage."""

    user: str
    unknown: dict[str, str] = Field(
        description="why current usage is not known, in one word, by resource"
    )
    sessions: tuple[Session, ...] | None = Field(
        description="the latest first; null where nothing is known"
    )
