"""The answers of the Hub's endpoints. Amounts and times are as in the dashboard's API; texts are in
the Hub's language, so that whatever shows them needs no words of its own for them.
"""

from __future__ import annotations

from pydantic import Field

from ...config.quotas import Enforcement
from ...quotas.serialize import DecisionSummary, Instant, Model, NotNegative
from ...status.reports import Verdict
from ...status.text import Severity


class Summary(Model):
    """The tightest quota in a few words, as in the header of the Hub's pages."""

    severity: Severity
    text: str = Field(description="for example `GPU 3 h left`")
    until: Instant | None = Field(description="completes `text` where it ends in `until`")
    details: str = Field(description="a sentence about the same")


class Words(Model):
    """A verdict as pages show it."""

    resource: str
    window: str
    servers: str = Field(description="which servers count; empty for all")
    state: str = Field(description="how serious it is")
    remaining: str = Field(description="how much is left, with its unit")
    total: str = Field(description="the allowance, with its unit")
    until: Instant | None = Field(
        description="from when on servers may start again, where it is used up"
    )


class Quota(Verdict):
    """One verdict, what comes next, and how pages show it."""

    words: Words | None = Field(description="null where nothing is limited")


class Profile(Model):
    """A server that the user could choose, and how long it could run if it started now."""

    slug: str
    name: str
    choices: dict[str, str] = Field(
        description="of the choices in the profile those that change what the server requests: the"
        " key of each, by the option's key"
    )
    choices_text: str = Field(description="the same in words")
    selected: bool = Field(description="whether the profile's form has these choices at first")
    fits: bool = Field(description="whether it is known that it may start")
    denied: bool = Field(description="whether it is known that it may not")
    lasts_seconds: NotNegative | None = Field(
        description="how long it could run; 0 where it is denied, null where nothing ends it for a"
        " month, or that is not known"
    )
    retry_time: Instant | None = Field(description="from when on it may start, where it may not")
    text: str = Field(description="how long it could run, or why not, in a few words")


class RunningServer(Model):
    """A server of the user that runs or is starting."""

    name: str = Field(description="empty for the default server")
    profile: str = Field(description="the slug of its profile; empty without one")
    profile_name: str
    started: Instant | None
    pending: str | None = Field(description="`spawn`, `stop` or another word of the Hub's, or null")


class UserQuotas(DecisionSummary):
    """Where a user stands: the decision on a server that asks for nothing but to run."""

    as_of: Instant = Field(description="the instant of these figures")
    enforcement: Enforcement = Field(
        description="whether the Hub acts on this decision: only with `enforcement = 'enforce'`"
    )
    severity: Severity | None = Field(description="of the worst quota; null where there is none")
    summary: Summary | None = Field(description="the tightest quota; null where there is none")
    remark: str = Field(description="what to say where usage is not known, or nothing is enforced")
    verdicts: tuple[Quota, ...] = Field(
        description="one for each combination of resource, window and servers; empty where no"
        " policy covers the user"
    )
    profiles: tuple[Profile, ...] = Field(
        description="what the user could start; in place of the server that the request names, if"
        " it names one"
    )
    servers: tuple[RunningServer, ...]
