"""The option about credits: what users and projects have, as policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from traitlets.config import LoggingConfigurable

from ...quotas.messages import not_among, wrong
from ...quotas.policy.errors import InvalidPolicies, PolicyError
from ...quotas.policy.selector import CHOSEN
from ...quotas.resources import CREDITS, RESOURCES, Resources
from ...quotas.windows.refill import AT
from ..traits import Anything
from .entries import Entry, entries_of
from .values import KEYS, InvalidCredits, Refilled, refilled_of

OPTION: Final = "credits"
USER_POLICY: Final = CREDITS.name
"""The name of the policy about users' own credits."""
A_MAPPING: Final = "a dict with user, and maybe projects and billed"
Written = dict[str, Any]
MARK: Final = CREDITS.name
"""Of a server, as a choice in its profile: which of its user's credits pay for it."""


def mark_of(name: str) -> str:
    """How a server is marked that credits of this name pay for."""
    return f"{MARK}{CHOSEN}{name}"


def project_policy(name: str) -> str:
    """The name of the policy about a project's credits."""
    return f"{CREDITS.name} of project {name}"


@dataclass(frozen=True, slots=True)
class Account:
    """A user's credits of one name: the `policy` that they are, and the `entry`, whose numbers are
    those of users of whom no function said anything.
    """

    policy: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Credits:
    """What was configured: the `accounts` that users have, of which the first that pays for a
    server does; and projects, which pay first, in place of whatever `accounts` say of them.
    `everyones` are projects that all users are in, and `paying_for` says for which account alone a
    project pays. With `by_name` users only have what functions name for them. What is `billed` is a
    price of each server that is fixed when it starts; else credits cost what `credit_prices` says.
    """

    accounts: tuple[Account, ...]
    projects: Mapping[str, Refilled]
    everyones: frozenset[str]
    billed: bool
    paying_for: Mapping[str, str]
    by_name: bool = False

    @property
    def several(self) -> bool:
        """Whether servers are told apart by which credits pay for them."""
        return len(self.accounts) > 1

    def account(self, name: str) -> Account | None:
        """The account of this name."""
        return next((one for one in self.accounts if one.entry.name == name), None)

    def entries(self) -> list[Written]:
        """The policies, as an admin would write them."""
        own = (self._own(one) for one in self.accounts)
        pools = (self._pool(name, has) for name, has in self.projects.items())
        common = {"resource": CREDITS.name, "when_exhausted": "stop"}
        return [{**common, **one} for one in (*own, *pools)]

    def _own(self, account: Account) -> Written:
        # What a function gives a user is assigned to them; until then everyone has the same.
        scope = {"assigned": True} | ({} if self.by_name else {"everyone": True})
        entry = account.entry
        servers = self._servers(entry.name) if self.several else {}
        return {"name": account.policy, "scope": scope, **servers, **entry.refilled.entry()}

    def _pool(self, name: str, project: Refilled) -> Written:
        of = self.paying_for.get(name)
        return {
            "name": project_policy(name),
            "scope": {"everyone": True} if name in self.everyones else {"assigned": True},
            "share": "pooled",
            "overflow": "individual",
            **(self._servers(of) if of is not None else {}),
            **project.entry(),
        }

    @staticmethod
    def _servers(name: str) -> Written:
        return {"servers": {"profile": [f"*/{mark_of(name)}"]}}


def with_billing(resources: Resources) -> Resources:
    """The same where what a server costs is fixed when it starts: a rate of its own, and no price
    of what it uses.
    """
    return {**resources, CREDITS.name: replace(resources[CREDITS.name], bought=False)}


class CreditOptions(LoggingConfigurable):
    """The option about credits."""

    credits = Anything(
        False,
        help="""
        Credits for every user, and for projects whose credits are used up first:

            {"user": {"cap": 100, "grant_value": 10, "grant_interval": 600},
             "projects": [{"name": "p", "cap": 500, "grant_value": 50, "grant_interval": 3600}]}

        Each becomes a policy, "credits" and "credits of project p". Where `user` is a list, each
        has a `name`, becomes a policy "credits: NAME", and pays for the servers that are started
        with its `user_options`; of several the first. Credits cost what
        `credit_prices` says. With the authenticator of `jupyterhub_credit_service` its own options
        take the place of this one, and its spawner says what a server costs.
        """,
    ).tag(config=True, written="False or a dict")

    @property
    def billed(self) -> bool:
        """Whether the spawner says what a server costs."""
        return isinstance(self.credits, Mapping) and self.credits.get("billed") is True

    @property
    def limitable(self) -> Resources:
        """The resources that policies can limit, besides an admin's own."""
        built_in: Resources = getattr(self, "built_in", RESOURCES)
        return with_billing(built_in) if self.billed else built_in

    @property
    def by_what_pays(self) -> frozenset[str]:
        """The names of policies that select servers by which credits pay for them: the Hub marks
        these, and no profile is needed for that.
        """
        credits_ = self.parsed_credits
        if credits_ is None or not credits_.several:
            return frozenset()
        pools = map(project_policy, credits_.paying_for)
        return frozenset((*(one.policy for one in credits_.accounts), *pools))

    @property
    def parsed_credits(self) -> Credits | None:
        """The configured credits, None for none; raises `InvalidPolicies`."""
        return parse_credits(self.credits)


def parse_credits(written: object) -> Credits | None:
    """Read the option. Raises `InvalidPolicies`."""
    if written is False or written is None:
        return None
    if not isinstance(written, Mapping):
        raise InvalidPolicies([PolicyError(OPTION, wrong(got=written, expected=A_MAPPING))])
    errors, at = list(_errors_of_keys(written)), str(written.get("at", ""))
    accounts: tuple[Account, ...] = ()
    try:
        accounts = _accounts(written.get("user"), at)
    except InvalidCredits as error:
        errors.append(PolicyError(OPTION, str(error)))
    projects = _parse_projects(written.get("projects", ()), errors)
    everyones = written.get("everyones") or ()
    everyones = (everyones,) if isinstance(everyones, str) else everyones
    if not errors and (missing := [one for one in everyones if one not in projects]):
        errors.append(PolicyError(f"{OPTION}.everyones", wrong("no project", missing[0])))
    if errors:
        raise InvalidPolicies(errors)
    return Credits(
        accounts,
        {name: replace(project, at=at) for name, project in projects.items()},
        frozenset(everyones),
        written.get("billed") is True,
        dict(written.get("paying_for", {})),
        written.get("by_name") is True,
    )


def _accounts(given: object, at: str) -> tuple[Account, ...]:
    """The accounts that are written. Raises `InvalidCredits`."""
    found = [
        replace(one, refilled=replace(one.refilled, at=at))
        for one in entries_of(given, "user").entries
    ]
    if len(found) == 1:
        return (Account(USER_POLICY, found[0]),)
    return tuple(Account(account_policy(one.name), one) for one in found)


def account_policy(name: str) -> str:
    """The name of the policy about credits of a name, where users have several."""
    return f"{CREDITS.name}: {name}"


def _errors_of_keys(written: Mapping[Any, Any]) -> Iterator[PolicyError]:
    known = ("user", "projects", "everyones", "billed", "paying_for", "by_name", "at")
    for key in written:
        if key not in known:
            yield PolicyError(OPTION, not_among(wrong("unknown key", key), str(key), known))
    for key in ("billed", "by_name"):
        if not isinstance(written.get(key, False), bool):
            yield PolicyError(f"{OPTION}.{key}", wrong(got=written[key], expected="True or False"))
    everyones = written.get("everyones", "")
    listed = everyones if isinstance(everyones, list | tuple) else [everyones]
    if not all(isinstance(one, str) for one in listed):
        problem = wrong(got=everyones, expected="the name of a project, or a list of some")
        yield PolicyError(f"{OPTION}.everyones", problem)
    if (at := written.get("at", "")) and not (isinstance(at, str) and AT.fullmatch(at)):
        yield PolicyError(f"{OPTION}.at", wrong(got=at, expected="a time of the day (UTC), HH:MM"))
    paying_for = written.get("paying_for", {})
    texts = isinstance(paying_for, Mapping) and all(
        isinstance(one, str) for pair in paying_for.items() for one in pair
    )
    if not texts:
        problem = wrong(got=paying_for, expected="names of credits by names of projects")
        yield PolicyError(f"{OPTION}.paying_for", problem)


def _parse_projects(given: object, errors: list[PolicyError]) -> dict[str, Refilled]:
    where, found = f"{OPTION}.projects", dict[str, Refilled]()
    if not isinstance(given, list | tuple):
        expected = f"a list of dicts with name, {', '.join(KEYS)}"
        errors.append(PolicyError(where, wrong(got=given, expected=expected)))
        return found
    for index, entry in enumerate(given):
        try:
            name, project = refilled_of(entry, f"projects[{index}]")
            if name in found:
                raise InvalidCredits(wrong(f"projects[{index}].name is there twice", name))
            found[name] = project
        except InvalidCredits as error:
            errors.append(PolicyError(OPTION, str(error)))
    return found
