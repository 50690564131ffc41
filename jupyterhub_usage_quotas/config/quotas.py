"""The options about policies, and about what follows from a decision."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

from traitlets import Bool, TraitError, UseEnum, default, validate
from traitlets.utils.importstring import import_item

from ..errors import ConfigurationError, all_errors
from ..ledger.base import NO_LEDGER, Ledger
from ..ledger.sql.cached import CachedLedger
from ..ledger.sql.store import SqlLedger
from ..quotas.messages import not_among, said_by, shown, wrong
from ..quotas.policy.doubts import doubts, limits_without_unit
from ..quotas.policy.errors import InvalidPolicies
from ..quotas.policy.parse import parse_policies
from ..quotas.policy.policy import PolicySet
from .checks.validation import errors_in_options
from .exporting import ExportOptions
from .files.earlier import MANAGER, RENAMED, understood
from .further import FurtherOptions
from .granting import GrantingOptions
from .guard import GuardOptions
from .notices import NoticeOptions
from .pages import PageOptions
from .prometheus import URL
from .traits import Anything
from .usage import UsageConfig
from .weekly.budgets import OPTION


class Enforcement(enum.StrEnum):
    """What follows from a decision."""

    enforce = "enforce"
    shadow = "shadow"
    off = "off"


class QuotaOptions(
    GrantingOptions,
    GuardOptions,
    NoticeOptions,
    PageOptions,
    ExportOptions,
    FurtherOptions,
    UsageConfig,
):
    """The options of the section `UsageQuotaManager`."""

    @classmethod
    def section_names(cls) -> list[str]:
        """The sections that its options are read from, for traitlets: also that of the class which
        enforces them in the Hub, and which admins configure.
        """
        return [*UsageConfig.section_names(), MANAGER]

    policy = Anything(
        help="""
        The policies, a list of

            {"name": "memory-week",                           # optional, unique
             "resource": "memory",      # cpu, gpu, time, credits, cost, storage, or of `resources`
             "limit": {"value": 1000, "unit": "GiB-hours"},   # or "1000 GiB-hours"
             "window": 7,                                     # days, or "36h": rolling; or
                                         # {"calendar": "week", "timezone": "Europe/Zurich"}; or
                                         # {"refill": 5, "every": "10 minutes"}
             "scope": {"group": ["group-0"]},                 # group, user, or everyone: True

        and, where wanted,

             "exempt": {"user": ["alice"], "admin": True},    # group, user or admin
             "servers": {"profile": ["*gpu*", "large/mem_488"]},   # profile, its choices, name, gpu
             "share": "pooled", "overflow": "individual",     # one allowance for all
             "minimum_session": "10 minutes",                 # what a launch needs
             "when_exhausted": "stop",                        # deny, stop or warn
             "grace": "5 minutes", "warn_before": ["10 minutes"]}   # before servers are stopped

        Home storage has no window, and its limit may be the "exported" one.

        A name in a scope may be a pattern: {"glob": "class-*"}. Limits and scopes may be functions.
        """
    ).tag(config=True)

    @default("policy")
    def _policy_default(self) -> list[Any]:
        return []

    scope_backup_strategy = Anything(
        help="""
        What happens where no policy covers a user, and where several for the same resource and
        window do:

            {"empty": {"resource": "memory", "limit": "500 GiB-hours", "window": 7},
             "intersection": "min"}                           # min, max or sum

        `empty` is one policy or a list, without a scope; without it such users are not limited.
        """
    ).tag(config=True)

    @default("scope_backup_strategy")
    def _scope_backup_strategy_default(self) -> dict[str, Any]:
        return {"intersection": "min"}

    failover_open = Bool(
        True,
        help="""
        What happens when usage is not known, because Prometheus does not answer or its source is
        not scraped: True allows the launch, False denies it with a message of its own.
        """,
    ).tag(config=True)

    enforcement = UseEnum(
        Enforcement,
        Enforcement.enforce,
        help="""
        "enforce" denies launches; "shadow" decides, counts and logs, but never denies; "off" does
        nothing.
        """,
    ).tag(config=True)

    ledger_factory = Anything(
        None,
        allow_none=True,
        help="""
        What keeps people's decisions about quotas (grants, overrides, exemptions): a function or
        class that is called without arguments and returns a `Ledger`, or its importable name, for
        example "our_hub.quotas.make_ledger". By its name the Usage Quota Dashboard and the command
        line can use it, too: each calls it in its own process. `ledger_url` needs none.
        """,
    ).tag(config=True)

    @validate("ledger_factory")
    def _is_callable(self, proposal: Any) -> Any:
        given = proposal.value
        try:
            factory = import_item(given) if isinstance(given, str) and given else given
        except Exception as error:
            # A module of the admin's: it can fail in any way.
            why = said_by(error)
            raise TraitError(f"{shown(given)} cannot be imported: {why}") from error
        if factory is None or callable(factory):
            return given
        expected = "a function that returns a ledger, or its importable name"
        raise TraitError(wrong(got=given, expected=expected))

    profile_of_server = Anything(
        None,
        allow_none=True,
        help="""
        For spawners without a `profile_list`: a function that is called with the spawner before its
        server starts, and returns the name of the chosen profile, for example
        `lambda spawner: "gpu" if spawner.user_options.get("gpu") == "yes" else "cpu"`. Policies
        select servers by it (`servers: {"profile": ["gpu"]}`). Users write what they like into
        `user_options`, so return names of yours, and not theirs.
        """,
    ).tag(config=True)

    @validate("profile_of_server")
    def _is_a_function(self, proposal: Any) -> Any:
        if proposal.value is not None and not callable(proposal.value):
            raise TraitError(wrong(got=proposal.value, expected="a function, or None"))
        return proposal.value

    def errors_together(self, refused: Collection[str] = ()) -> list[str]:
        """See `UsageConfig.errors_together`."""
        errors = super().errors_together(refused)
        if self.ledger_url and self.ledger_factory is not None:
            errors.append(f"ledger_url does not go with {MANAGER}.ledger_factory; leave one out")
        return errors

    @property
    def importable_ledger_factory(self) -> str:
        """The name by which other processes find it; empty for none, or one without a name."""
        given = self.ledger_factory
        return given if isinstance(given, str) else importable_name(given)

    def make_ledger(self, ledger_url: str = "") -> Ledger:
        """Make the configured ledger, of a service that has one of its own at a URL; raises
        `ConfigurationError` where it cannot be made.
        """
        factory, url = self.ledger_factory, ledger_url or self.ledger_url
        if factory is None:
            return CachedLedger(SqlLedger.at(url)) if url else NO_LEDGER
        try:
            made: Ledger = (import_item(factory) if isinstance(factory, str) else factory)()
        except Exception as error:
            # It is the admin's.
            problem = said_by(error)
            raise ConfigurationError([f"{MANAGER}.ledger_factory: {problem}"]) from error
        if not callable(getattr(made, "active", None)):
            problem = wrong("what it returned", made, "a Ledger, which has a method active")
            raise ConfigurationError([f"{MANAGER}.ledger_factory: {problem}"])
        return made

    def __init__(self, **kwargs: Any) -> None:
        """Read the configuration; raises `ConfigurationError` with all its errors."""
        config = kwargs.get("config") or getattr(kwargs.get("parent"), "config", None)
        if config:
            check_configuration(config, type(self))
            kwargs["config"] = understood(config)
        super().__init__(**kwargs)

    def doubts(self) -> list[str]:
        """A line about everything that is accepted and is probably not meant."""
        backup, known = self.scope_backup_strategy or {}, self.policies.resources
        return [
            *self.doubts_together(),
            *self.doubts_of_budgets(),
            *doubts(self.policies),
            *limits_without_unit("policy", self.policy, known),
            *limits_without_unit("scope_backup_strategy.empty", backup.get("empty"), known),
        ]

    @cached_property
    def policies(self) -> PolicySet:
        """The configured policies; raises `InvalidPolicies`."""
        further, found = self.further_policies()
        return parse_policies(
            self.policy,
            self.scope_backup_strategy,
            failover_open=self.failover_open,
            resources=self.resources,
            credit_prices=self.credit_prices,
            built_in=self.limitable,
            bought_at=self.launch_prices,
            further=further,
            found=found,
        )

    def in_place(self, given: object) -> PolicySet:
        """These policies in place of the configured ones, to be tried: a list of them, or a mapping
        of `policy` and, where they differ, of what goes with it. Everything else is as configured.

        Raises `ConfigurationError` with all errors.
        """
        if not isinstance(given, Mapping):
            given = {"policy": given}
        errors = [
            not_among(wrong("unknown key", str(key)), str(key), TRIED)
            for key in given
            if key not in TRIED
        ]
        with all_errors(errors):
            try:
                policies = parse_policies(
                    given.get("policy", ()),
                    given.get("scope_backup_strategy", self.scope_backup_strategy),
                    failover_open=self.failover_open,
                    resources=self.resources,
                    credit_prices=given.get("credit_prices", self.credit_prices),
                    built_in=self.limitable,
                    bought_at=self.launch_prices,
                )
            except InvalidPolicies as error:
                raise ConfigurationError([str(one) for one in error.errors]) from None
            by_profile = [f"policy: {one.name}" for one in policies if one.servers.by_profile]
            if errors := self.errors_in_pods(by_profile):
                raise ConfigurationError(errors)
            return policies


TRIED = ("policy", "scope_backup_strategy", "credit_prices")
"""What policies that are tried can be written with."""

CONFIGURED: tuple[type[UsageConfig], ...] = (UsageConfig, QuotaOptions)
"""The classes whose sections the Hub reads."""


def check_configuration(
    config: Mapping[str, Any], options: type[QuotaOptions] = QuotaOptions
) -> None:
    """Refuse a configuration with errors; raises `ConfigurationError` that names all of them."""
    probe = options()
    errors = list(errors_in_options(config, CONFIGURED, probe))
    try:
        by_profile = [one.name for one in probe.policies if one.servers.by_profile]
        budgets = {entry["name"] for entry in probe.budgets.entries()} if probe.budgets else ()
        errors += probe.errors_in_pods(
            f"{OPTION if name in budgets else 'policy'}: {name}" for name in by_profile
        )
        errors += [
            f"{MANAGER}.grant_limits: {line}" for line in probe.errors_in_granting(probe.policies)
        ]
        errors += probe.errors_in_reach(probe.policies.reach)
        if not probe.has_prometheus:
            errors += [
                f"UsageConfig.{URL}: is empty, but a policy limits {one.resource}, which only a"
                " Prometheus has; set its URL"
                for one in probe.GAUGES
                if one.resource in probe.policies.all_measured
            ]
        errors += [
            f"UsageConfig.{one.switch}: is False, but a policy limits {one.resource}; leave it out"
            for one in probe.GAUGES
            if one.resource in probe.policies.all_measured and one.make(probe) is None
        ]
    except InvalidPolicies as error:
        errors += [_as_written(config, f"{_section(one.where)}.{one}") for one in error.errors]
    if errors:
        raise ConfigurationError(errors)


def importable_name(value: object) -> str:
    """The name by which another process can import a function or class; empty if it cannot."""
    name = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
    try:
        return name if import_item(name) is value else ""
    except (ImportError, ValueError):
        return ""


def _as_written(config: Mapping[str, Any], error: str) -> str:
    """An error at the place that the admin wrote, which may have an earlier name."""
    for earlier, today in RENAMED[MANAGER].items():
        if earlier in config.get(MANAGER, {}):
            return error.replace(f"{MANAGER}.{today}", f"{MANAGER}.{earlier}", 1)
    return error


def _section(where: str) -> str:
    """The class whose option has an error."""
    own = UsageConfig.class_trait_names(config=True)
    return UsageConfig.__name__ if where.partition("[")[0] in own else MANAGER
