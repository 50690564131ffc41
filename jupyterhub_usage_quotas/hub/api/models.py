"""The answers of the Hub's endpoints. Amounts and times are as in the dashboard's API; texts are in
the Hub's language, so that whatever shows them needs no words of its own for them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...config.quotas import Enforcement
from ...ledger.sql.switches import SwitchState
from ...quotas.serialize import DecisionSummary, Instant, Model, NotNegative
from ...quotas.stopping.notices import NoticeKind
from ...quotas.stopping.states import State
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


class Watched(Model):
    """Where a running server stands with the policies that may stop it."""

    state: State = Field(description="`grace`: it is stopped at `stops_at`, unless there is more")
    certain: bool = Field(description="whether all of this was known when it was checked last")
    over_since: Instant | None
    exhausted_at: Instant | None = Field(description="when nothing remains, if it goes on")
    stops_at: Instant | None = Field(description="when it is stopped, unless somebody gives more")
    policies: tuple[str, ...] = Field(description="those that its state comes from")


class NoticeReport(Model):
    """Something that the user is told once, wherever it is shown."""

    id: str = Field(description="the same wherever and however often it is told")
    server: str = Field(description="empty for the default server")
    policy: str
    kind: NoticeKind
    until: Instant | None = Field(
        description="when the server runs out, is stopped, or may be started again"
    )
    text: str
    at: Instant


class RunningServer(Model):
    """A server of the user that runs or is starting."""

    name: str = Field(description="empty for the default server")
    profile: str = Field(description="the slug of its profile; empty without one")
    profile_name: str
    started: Instant | None
    pending: str | None = Field(description="`spawn`, `stop` or another word of the Hub's, or null")
    watched: Watched | None = Field(description="null where no policy may stop it")


class SwitchReport(Model):
    """A switch of profiles that is not done, or failed."""

    server: str = Field(description="empty for the default server")
    state: SwitchState
    profile_name: str = Field(description="the display name of the profile that was chosen")
    previous_name: str = Field(description="that of the profile that ran before")
    requested: Instant
    message: str = Field(description="why it failed; else empty")


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
    stops_servers: bool = Field(
        description="whether servers are stopped when nothing remains; else `watched` says what"
        " would happen"
    )
    notices: tuple[NoticeReport, ...] = Field(description="the newest first")
    switches: tuple[SwitchReport, ...] = Field(
        description="of servers that are being started again with another profile, and of those"
        " that could not be"
    )


Text = Annotated[str, Field(max_length=255)]


class NewSwitch(BaseModel):
    """The body of a request for a switch."""

    model_config = ConfigDict(extra="forbid", strict=True)

    server: Text = Field("", description="empty for the default server")
    profile: Annotated[str, Field(min_length=1, max_length=255)] = Field(description="the slug")
    options: Annotated[dict[Text, Text], Field(max_length=64)] = Field(
        {}, description="the key of each choice in the profile, by the option's key"
    )


class Switching(Model):
    """A switch that has begun."""

    url: str = Field(description="the path of the page on which the user waits for the server")


class Stopped(Model):
    """A server that was stopped because a quota is used up."""

    policy: str
    until: Instant | None = Field(description="when it may be started again, if that is known")


class Gone(Model):
    """Why a server does not answer any more, as far as quotas are the reason."""

    switch_url: str | None = Field(description="where its user waits for it with another profile")
    stopping: bool = Field(description="whether it is being stopped, so that there is more to say")
    stopped: Stopped | None


class Refusal(Model):
    """Why nothing is done. Nothing was stopped."""

    status: int
    message: str
    reason: Literal["quota", "profile", "server", "busy", "ledger"]
    retry_time: Instant | None = Field(
        None, description="from when on it would be done, where a quota is the reason"
    )
