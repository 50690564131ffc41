"""The options about running servers: whether they are stopped, after which warnings and grace."""

from __future__ import annotations

import enum
from typing import Any

from traitlets import HasTraits, TraitError, UseEnum, default, validate

from ..quotas.policy.stopping import parse_grace, parse_warnings
from ..quotas.stopping.steps import READINGS, Rules
from .traits import Anything, WholeNumber


class Guarding(enum.StrEnum):
    """What becomes of running servers whose quota is used up."""

    enforce = "enforce"
    shadow = "shadow"
    off = "off"


class GuardOptions(HasTraits):
    """The part of `UsageQuotaManager` about running servers."""

    guard = UseEnum(
        Guarding,
        Guarding.enforce,
        help="""
        What becomes of running servers of which a policy with `when_exhausted: stop` has nothing
        left: "enforce" warns their users, gives them grace, and stops them; "shadow" logs and
        counts what it would do; "off" does nothing. Where launches are not denied (`enforcement`),
        no server is stopped, either.
        """,
    ).tag(config=True)

    grace = Anything(
        help="""
        How long a server runs on when nothing is left, before it is stopped: a duration, for
        example "5 minutes". A policy can have a `grace` of its own.
        """
    ).tag(config=True)

    warn_before = Anything(
        help="""
        How long before nothing is left users are warned, as a list of durations, for example
        ["30 minutes", "10 minutes"]; an empty list warns nobody. A policy can have a `warn_before`
        of its own.
        """
    ).tag(config=True)

    guard_readings = WholeNumber(
        READINGS,
        2,
        60,
        "a number of readings",
        help="""
        How many readings of usage in a row, about one a minute, must say that nothing is left
        before a server's grace begins, and again before it is stopped.
        """,
    ).tag(config=True)

    @default("grace")
    def _grace_default(self) -> str:
        return "5 minutes"

    @default("warn_before")
    def _warn_before_default(self) -> list[str]:
        return ["30 minutes", "10 minutes", "2 minutes"]

    @validate("grace")
    def _grace_is_one(self, proposal: Any) -> Any:
        try:
            parse_grace(proposal.value)
        except ValueError as error:
            raise TraitError(str(error)) from None
        return proposal.value

    @validate("warn_before")
    def _warnings_are_durations(self, proposal: Any) -> Any:
        try:
            parse_warnings(proposal.value)
        except ValueError as error:
            raise TraitError(str(error)) from None
        return list(proposal.value)

    @property
    def stopping_rules(self) -> Rules:
        """The rules for policies that say nothing else."""
        return Rules(parse_grace(self.grace), parse_warnings(self.warn_before), self.guard_readings)
