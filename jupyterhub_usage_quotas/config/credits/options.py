"""The option about credits: what users and projects have, as policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from traitlets.config import LoggingConfigurable

from ...quotas.messages import not_among, wrong
from ...quotas.policy.errors import InvalidPolicies, PolicyError
from ...quotas.resources import CREDITS, RESOURCES, Resources
from ..traits import Anything
from .values import KEYS, USUAL_NAME, InvalidCredits, Refilled, refilled_of

OPTION: Final = "credits"
USER_POLICY: Final = CREDITS.name
"""The name of the policy about users' own credits."""
A_MAPPING: Final = "a dict with user, and maybe projects and billed"
Entry = dict[str, Any]


def project_policy(name: str) -> str:
    """The name of the policy about a project's credits."""
    return f"{CREDITS.name} of project {name}"


@dataclass(frozen=True, slots=True)
class Credits:
    """What was configured: the user's own credits, by their `name`, and those of projects, which
    pay first. `everyones` is the project that all users are in. What is `billed` is a price of each
    server that is fixed when it starts; else credits cost what `credit_prices` says.
    """

    name: str
    user: Refilled
    projects: Mapping[str, Refilled]
    everyones: str
    billed: bool

    @property
    def policy(self) -> str:
        """The name of the policy about users' own credits."""
        return USER_POLICY

    def entries(self) -> list[Entry]:
        """The policies, as an admin would write them."""
        own = {"name": USER_POLICY, "scope": {"everyone": True}, **self.user.entry()}
        pools = (
            {
                "name": project_policy(name),
                "scope": {"everyone": True} if name == self.everyones else {"assigned": True},
                "share": "pooled",
                "overflow": "individual",
                **project.entry(),
            }
            for name, project in self.projects.items()
        )
        common = {"resource": CREDITS.name, "when_exhausted": "stop"}
        return [{**common, **one} for one in (own, *pools)]


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

        Each becomes a policy, "credits" and "credits of project p". Credits cost what
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
    def parsed_credits(self) -> Credits | None:
        """The configured credits, None for none; raises `InvalidPolicies`."""
        return parse_credits(self.credits)


def parse_credits(written: object) -> Credits | None:
    """Read the option. Raises `InvalidPolicies`."""
    if written is False or written is None:
        return None
    if not isinstance(written, Mapping):
        raise InvalidPolicies([PolicyError(OPTION, wrong(got=written, expected=A_MAPPING))])
    errors = list(_errors_of_keys(written))
    name, user = USUAL_NAME, None
    try:
        of_user = written.get("user")
        given = {"name": USUAL_NAME, **of_user} if isinstance(of_user, Mapping) else of_user
        name, user = refilled_of(given, "user")
    except InvalidCredits as error:
        errors.append(PolicyError(OPTION, str(error)))
    projects = _parse_projects(written.get("projects", ()), errors)
    everyones = written.get("everyones", "")
    if everyones and everyones not in projects:
        errors.append(PolicyError(f"{OPTION}.everyones", wrong("no project", everyones)))
    if errors or user is None:
        raise InvalidPolicies(errors)
    return Credits(name, user, projects, everyones, written.get("billed") is True)


def _errors_of_keys(written: Mapping[Any, Any]) -> Iterator[PolicyError]:
    known = ("user", "projects", "everyones", "billed")
    for key in written:
        if key not in known:
            yield PolicyError(OPTION, not_among(wrong("unknown key", key), str(key), known))
    if not isinstance(written.get("billed", False), bool):
        yield PolicyError(
            f"{OPTION}.billed", wrong(got=written["billed"], expected="True or False")
        )
    if not isinstance(written.get("everyones", ""), str):
        problem = wrong(got=written["everyones"], expected="the name of a project")
        yield PolicyError(f"{OPTION}.everyones", problem)


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
