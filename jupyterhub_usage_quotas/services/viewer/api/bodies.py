"""The bodies of requests that change something, as JSON and in their description."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ....ledger.drafts import Kind
from ....ledger.entries import LONGEST_NAME, LONGEST_REASON, SHORTEST_REASON

MOST_USERS = 200
"""In one request."""

Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Reason = Annotated[
    str,
    Field(
        min_length=SHORTEST_REASON,
        max_length=LONGEST_REASON,
        description="why; the user reads it, too",
    ),
]


class Body(BaseModel):
    """An object with these keys and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NewAdjustments(Body):
    """The same adjustment for some users, or one for everyone; all are made, or none."""

    kind: Kind = Field(
        description="a `grant` adds to the limit, an `override` takes its place, an `exemption`"
        " lifts it; only admins make others than grants"
    )
    policy: Name = Field(description="the name of the policy")
    users: Annotated[list[Name], Field(min_length=1, max_length=MOST_USERS)] | None = Field(
        default=None, description="whom it is for, each by name, once; or else `everyone`"
    )
    everyone: Literal[True] | None = Field(
        default=None,
        description="true for one adjustment for everyone whom the policy covers; only admins can",
    )
    amount: Annotated[str, Field(max_length=LONGEST_NAME)] | None = Field(
        default=None,
        description="how much more, or the limit instead, with a unit of the policy's resource, for"
        " example `2 GiB-hours`; left out for an exemption",
    )
    start: Annotated[str, Field(max_length=LONGEST_NAME)] | None = Field(
        default=None,
        description="when it begins, in ISO 8601 with a zone; the default is at once",
    )
    until: Annotated[str, Field(max_length=LONGEST_NAME)] = Field(
        description="when it ends: an instant, or how long it lasts, for example `7d`"
    )
    reason: Reason


class Voiding(Body):
    """Why an adjustment is voided."""

    reason: Reason
