"""Weekly budgets: server time per week, by the tier of a server's profile and the role of its user.

They are another way to write policies: one for each role and tier, with the name "gpu-user-week" or
the like. A server is in the first tier that has its profile, a user in the first role that covers
them, so that exactly one of the policies is about each. The amounts are in the option, or in
environment variables.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from ...conventions import BUDGET_ROLES, BUDGET_TIERS, ENV_WEEKLY_BUDGET
from ...quotas.messages import not_among, shown, wrong
from ...quotas.policy.errors import InvalidPolicies, PolicyError
from ...quotas.policy.limits import parse_limit, parse_window
from ...quotas.policy.parse import readable
from ...quotas.policy.policy import Policy
from ...quotas.policy.scope import Names, Scope
from ...quotas.policy.selector import ServerSelector
from ...quotas.resources import RESOURCES
from ...quotas.units import InvalidQuantity, Quantity, bounded_quantity

OPTION: Final = "weekly_budgets"
TIME: Final = RESOURCES["time"]
OTHER_TIER, GPU_TIER = BUDGET_TIERS
"""The tier of every server that is in no other, and the usual other one."""
OTHER_ROLE, ADMIN_ROLE, _ = BUDGET_ROLES
"""The role of every user who has no other, and the usual other one."""
USUAL_TIERS: Final = ({"tier": GPU_TIER, "profile": ["*[Gg][Pp][Uu]*"]},)
USUAL_ROLES: Final = ({"role": ADMIN_ROLE, "admin": True},)
USUAL_BUDGET: Final = Quantity(20.0, TIME.usual_unit)
USUAL_PAIRS: Final = tuple(product(BUDGET_ROLES, BUDGET_TIERS))
"""Roles and tiers whose variables are read, whether or not there are such policies."""
MOST: Final = 30
"""As many tiers or roles there may be; each of the one has a policy for each of the other."""

_NAME = re.compile(r"[a-z][a-z0-9]{0,29}")
"""One word, so that names of policies and of variables tell roles and tiers apart."""
_SECONDS = re.compile(r"[0-9]{1,15}")
_WINDOW = ("starts", "hour", "timezone")
_COMMON = ("when_exhausted", "minimum_session", "grace", "warn_before")
_KEYS = ("tiers", "roles", "budgets", *_WINDOW, *_COMMON)
A_MAPPING: Final = f"True, False, or a mapping with some of {', '.join(_KEYS)}"

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
Entry = dict[str, Any]
Pair = tuple[str, str]
"""A role and a tier."""


def variable(role: str, tier: str) -> str:
    """The environment variable with the budget, in seconds."""
    return ENV_WEEKLY_BUDGET.format(role=role.upper(), tier=tier.upper())


def policy_name(role: str, tier: str) -> str:
    """The name of a policy, by which the ledger has its adjustments."""
    return f"{tier}-{role}-week"


@dataclass(frozen=True, slots=True)
class WeeklyBudgets:
    """Budgets as they were configured: tiers by the patterns of their profiles and roles by the
    users they cover, both in the order in which they are tried, without those of all others.

    `common` is what all policies have: window, and what happens when nothing remains.
    """

    tiers: Mapping[str, tuple[str, ...]]
    roles: Mapping[str, Scope]
    budgets: Mapping[Pair, Quantity]
    common: Mapping[str, Any]

    def entries(self) -> list[Entry]:
        """The policies, as an admin would write them."""
        return [
            {
                "name": policy_name(role, tier),
                "resource": TIME.name,
                "limit": written_amount(amount),
                **self.common,
                **self._whom(role),
                **self._servers(tier),
            }
            for (role, tier), amount in self.budgets.items()
        ]

    @property
    def pairs_by_policy(self) -> Mapping[str, Pair]:
        """The role and the tier of each policy, by its name."""
        return {policy_name(role, tier): (role, tier) for role, tier in self.budgets}

    @property
    def policies_by_tier(self) -> Mapping[str, tuple[str, ...]]:
        """The tiers, in the order in which they are tried, with the names of their policies."""
        names: dict[str, tuple[str, ...]] = dict.fromkeys((*self.tiers, OTHER_TIER), ())
        for role, tier in self.budgets:
            names[tier] += (policy_name(role, tier),)
        return names

    def _whom(self, role: str) -> Entry:
        scope = self.roles.get(role)
        covers = _written_scope([scope]) if scope else {"everyone": True}
        exempt = _written_scope(_before(role, self.roles))
        return {"scope": covers} | ({"exempt": exempt} if exempt else {})

    def _servers(self, tier: str) -> Entry:
        others = list(dict.fromkeys(chain.from_iterable(_before(tier, self.tiers))))
        servers: Entry = {"profile": list(self.tiers[tier])} if tier in self.tiers else {}
        servers |= {"except_profile": others} if others else {}
        return {"servers": servers} if servers else {}


def _before(name: str, of: Mapping[str, T]) -> list[T]:
    """What is tried before a name: all, before the one for all others."""
    names = list(of)
    return [of[one] for one in names[: names.index(name) if name in of else None]]


def _written_scope(scopes: Sequence[Scope]) -> Entry:
    written = {
        "group": [one for scope in scopes for one in _written_names(scope.group)],
        "user": [one for scope in scopes for one in _written_names(scope.user)],
        "admin": any(scope.admin for scope in scopes),
    }
    return {key: value for key, value in written.items() if value}


def _written_names(names: Names) -> list[Any]:
    return [*names.exact, *({"glob": glob} for glob in names.globs)]


def written_amount(amount: Quantity) -> Entry:
    return {"value": amount.value, "unit": amount.unit.symbol}


# --- reading them -------------------------------------------------------------------------------


def parse_weekly_budgets(given: object, environment: Mapping[str, str]) -> WeeklyBudgets | None:
    """Read the option and the variables; None where it is off.

    Raises `InvalidPolicies` with every error found.
    """
    if given is False:
        return None
    if given is not True and (not isinstance(given, Mapping) or not given):
        raise InvalidPolicies([PolicyError(OPTION, wrong(got=given, expected=A_MAPPING))])
    written: Mapping[Any, Any] = given if isinstance(given, Mapping) else {}
    errors = list(_unknown_keys(OPTION, written, _KEYS))
    tiers = _parse_tiers(written.get("tiers", USUAL_TIERS), errors)
    roles = _parse_roles(written.get("roles", USUAL_ROLES), errors)
    pairs = list(product((*roles, OTHER_ROLE), (*tiers, OTHER_TIER)))
    in_variables = _parse_variables(environment, pairs, errors)
    in_option = _parse_budgets(written.get("budgets", {}), pairs, errors)
    common = _parse_common(written, errors)
    if errors:
        raise InvalidPolicies(errors)
    budgets = dict.fromkeys(pairs, USUAL_BUDGET) | in_variables | in_option
    return WeeklyBudgets(tiers, roles, {pair: budgets[pair] for pair in pairs}, common)


def _unknown_keys(
    where: str, given: Mapping[Any, Any], known: Collection[str]
) -> Iterator[PolicyError]:
    for key in given:
        if key not in known:
            problem = not_among(wrong("unknown key", key), str(key), known)
            yield PolicyError(where, problem)


def _parse_tiers(given: object, errors: list[PolicyError]) -> dict[str, tuple[str, ...]]:
    tiers: dict[str, tuple[str, ...]] = {}
    example = '[{tier: gpu, profile: ["*gpu*"]}]'
    for place, name, entry in _named("tier", given, OTHER_TIER, example, errors):
        errors += _unknown_keys(place, entry, ("tier", "profile"))
        chosen = {"profile": entry.get("profile")}
        selector = _valid(ServerSelector, place, chosen, errors)
        # What has an error can still be named by budgets.
        tiers[name] = selector.profile if selector else ()
    return tiers


def _parse_roles(given: object, errors: list[PolicyError]) -> dict[str, Scope]:
    roles: dict[str, Scope] = {}
    example = "[{role: admin, admin: true, group: [instructors]}]"
    for place, name, entry in _named("role", given, OTHER_ROLE, example, errors):
        keys = ("group", "user", "admin")
        errors += _unknown_keys(place, entry, ("role", *keys))
        chosen = {key: entry[key] for key in keys if key in entry}
        if chosen:
            scope = _valid(Scope, place, chosen, errors)
        else:
            scope, problem = None, "covers nobody; add group: [...], user: [...] or admin: true"
            errors.append(PolicyError(place, problem))
        roles[name] = scope or Scope.model_construct()
    return roles


def _named(
    kind: str, given: object, other: str, example: str, errors: list[PolicyError]
) -> Iterator[tuple[str, str, Mapping[Any, Any]]]:
    """The place, name and entry of everything in a list of tiers or roles that has a name."""
    where = f"{OPTION}.{kind}s"
    if not isinstance(given, list | tuple):
        # Not a mapping: charts sort the keys of mappings, and the first that fits counts.
        errors.append(PolicyError(where, wrong("must be a list", given, example)))
        return
    if len(given) > MOST:
        errors.append(PolicyError(where, wrong("too many", len(given), f"at most {MOST}")))
        return
    taken = {other: f"is the {kind} of all others and has no entry; leave it out"}
    for index, entry in enumerate(given):
        place = f"{where}[{index}]"
        name = entry.get(kind) if isinstance(entry, Mapping) else None
        if not isinstance(entry, Mapping):
            errors.append(PolicyError(place, wrong("must be a mapping", entry, f"as in {example}")))
        elif not isinstance(name, str) or not _NAME.fullmatch(name):
            expected = "at most 30 lower-case letters and digits, a letter first"
            errors.append(PolicyError(f"{place}.{kind}", wrong(got=name, expected=expected)))
        elif name in taken:
            errors.append(PolicyError(f"{place}.{kind}", f"{name} {taken[name]}"))
        else:
            taken[name] = "is there twice; a name must be unique"
            yield place, name, entry


def _valid(
    model: type[M], place: str, given: Mapping[str, Any], errors: list[PolicyError]
) -> M | None:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        errors += readable(place, error)
        return None


def _parse_budgets(
    given: object, pairs: Sequence[Pair], errors: list[PolicyError]
) -> dict[Pair, Quantity]:
    where, budgets = f"{OPTION}.budgets", {}
    example = "{user: {gpu: 10 hours}}, by role and tier"
    if not isinstance(given, Mapping):
        errors.append(PolicyError(where, wrong("must be a mapping", given, example)))
        return {}
    roles, tiers = (list(dict.fromkeys(names)) for names in zip(*pairs, strict=True))
    for role, of_role in given.items():
        place = f"{where}[{shown(role)}]"
        if role not in roles:
            errors.append(PolicyError(where, not_among(wrong("no role", role), str(role), roles)))
        elif not isinstance(of_role, Mapping):
            errors.append(PolicyError(place, wrong("must be a mapping", of_role, example)))
        else:
            for tier, amount in of_role.items():
                if tier not in tiers:
                    problem = not_among(wrong("no tier", tier), str(tier), tiers)
                    errors.append(PolicyError(place, problem))
                    continue
                try:
                    budgets[role, tier] = parse_limit(amount, TIME)
                except InvalidQuantity as error:
                    errors.append(PolicyError(f"{place}[{shown(tier)}]", str(error)))
    return budgets


def _parse_variables(
    environment: Mapping[str, str], pairs: Sequence[Pair], errors: list[PolicyError]
) -> dict[Pair, Quantity]:
    budgets = {}
    for pair in dict.fromkeys((*USUAL_PAIRS, *pairs)):
        text = environment.get(variable(*pair))
        if text is None:
            continue
        try:
            budgets[pair] = _seconds(text)
        except InvalidQuantity as error:
            problem = f"environment variable {variable(*pair)}: {error}"
            errors.append(PolicyError(OPTION, problem))
    return budgets


def _seconds(text: str) -> Quantity:
    """So many seconds, in the largest unit of which they are a whole number."""
    if not _SECONDS.fullmatch(text.strip()):
        expected = "a whole number of seconds, for example 72000"
        raise InvalidQuantity(wrong(got=text, expected=expected))
    seconds = int(text)
    units = (TIME.unit(name) for name in ("hours", "minutes", "seconds"))
    unit = next(one for one in units if seconds % one.factor == 0)
    return bounded_quantity(seconds / unit.factor, unit, text)


def _parse_common(written: Mapping[Any, Any], errors: list[PolicyError]) -> Entry:
    window: Entry = {"calendar": "week"}
    for key in (one for one in _WINDOW if one in written):
        try:
            parse_window({"calendar": "week", key: written[key]}, None)
        except InvalidQuantity as error:
            errors.append(PolicyError(OPTION, str(error)))
        window[key] = written[key]
    common = {"when_exhausted": "stop"} | {key: written[key] for key in _COMMON if key in written}
    one = {"resource": TIME.name, "limit": "1 hour", "window": 7, "scope": {"everyone": True}}
    _valid(Policy, OPTION, one | common, errors)
    return {"window": window} | common
