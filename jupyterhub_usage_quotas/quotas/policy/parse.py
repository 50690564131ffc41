"""Reading what an admin wrote into a `PolicySet`, with every fault of it at once.

Each fault names the entry, the field, what was given and what would be right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from ..resources import RESOURCES, Resource, defined_resource
from .errors import InvalidPolicies, PolicyError
from .policy import Intersection, Policy, PolicySet
from .scope import Exempt, Scope
from .selector import ServerSelector

_EMPTY = "scope_backup_strategy.empty"
_MODELS: Mapping[str, type[BaseModel]] = {
    "scope": Scope,
    "exempt": Exempt,
    "servers": ServerSelector,
}


def parse_policies(
    policy: object,
    backup_strategy: object = None,
    *,
    failover_open: bool = True,
    resources: object = None,
    credit_prices: object = None,
    built_in: Mapping[str, Resource] = RESOURCES,
) -> PolicySet:
    """Read `policy` (a list of entries), `scope_backup_strategy` ({empty, intersection}), the
    admin's own `resources` ({name: {promql, unit, display_name}}), besides those that are
    `built_in`, and `credit_prices` ({resource: credits per hour of one unit}). `failover_open` is
    taken as it is.

    Raises `InvalidPolicies` with every fault found.
    """
    errors: list[PolicyError] = []
    known = dict(built_in) | _parse_resources(resources, built_in, errors)
    prices = _parse_prices(credit_prices, known, errors)
    policies = _parse_entries("policy", policy, known, errors)
    backup = _backup_mapping(backup_strategy, errors)
    empty_given = _as_list(backup.get("empty"))
    empty = _parse_entries(_EMPTY, empty_given, known, errors)
    intersection = _parse_intersection(backup.get("intersection", "min"), errors)
    errors.extend(_names_given_twice(policy, empty_given))
    if not prices and any(known[one.resource].bought for one in (*policies, *empty)):
        problem = "is empty, so credits cost nothing; write for example {cpu: 1, gpu: 10}"
        errors.append(PolicyError("credit_prices", problem))
    if errors:
        raise InvalidPolicies(errors)
    own = {one.name for one in (*policies, *empty) if one.name}
    taken = set(own)
    return PolicySet(
        tuple(_named(one, str(one.scope), taken) for one in policies),
        tuple(_named(one, "no other policy", taken) for one in empty),
        intersection,
        failover_open,
        known,
        prices,
        frozenset(taken - own),
    )


def doubts(policies: PolicySet) -> Iterator[str]:
    """A line about everything that is accepted and can hardly be meant."""
    own = {policy.measure for policy in policies if not policy.pooled}
    for policy in policies:
        if policy.overflow and policy.measure not in own:
            yield (
                f"policy {policy.name!r}: what the pool cannot pay has nowhere to fall, because no"
                " policy with share: individual has the same resource, window and servers"
            )


def _as_list(empty: object) -> object:
    """`empty` may be one policy, a list of them, or nothing."""
    if empty is None or empty == {}:
        return []
    return [empty] if isinstance(empty, Mapping) else empty


def _parse_resources(
    given: object, taken: Collection[str], errors: list[PolicyError]
) -> dict[str, Resource]:
    where = "resources"
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        errors.append(
            PolicyError(where, f"must be a mapping of names to definitions; given {given!r}")
        )
        return {}
    parsed = {}
    for name, entry in given.items():
        place = f"{where}[{name!r}]"
        keys = {"promql", "unit", "display_name"}
        if not isinstance(name, str) or not name.isidentifier() or name in taken:
            errors.append(
                PolicyError(place, "must have a name of letters and digits that is not taken")
            )
        elif (
            not isinstance(entry, Mapping)
            or not {"promql", "unit"} <= set(entry) <= keys
            or not all(isinstance(value, str) and value for value in entry.values())
        ):
            errors.append(
                PolicyError(
                    place, f"must have the texts promql, unit and display_name; given {entry!r}"
                )
            )
        else:
            parsed[name] = defined_resource(name, entry.get("display_name", name), entry["unit"])
    return parsed


def _parse_prices(
    given: object, known: Mapping[str, Resource], errors: list[PolicyError]
) -> dict[str, float]:
    """Credits per base unit, from credits per hour of the unit in the resource's example."""
    where = "credit_prices"
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        errors.append(PolicyError(where, f"must be a mapping such as {{cpu: 1}}; given {given!r}"))
        return {}
    prices = {}
    for name, price in given.items():
        resource = known.get(name)
        if resource and resource.is_gauge:
            problem = "is not used over time, so it costs no credits; leave it out"
            errors.append(PolicyError(f"{where}[{name!r}]", problem))
        elif resource is None or resource.bought or not resource.by_server:
            right = [one.name for one in known.values() if one.by_server and not one.bought]
            problem = f"is not a resource; right are {', '.join(right)}"
            errors.append(PolicyError(f"{where}[{name!r}]", problem))
        elif isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < 1e9:  # noqa: PLR2004
            problem = f"must be a number of credits per hour, not negative; given {price!r}"
            errors.append(PolicyError(f"{where}[{name!r}]", problem))
        elif price:
            # The example's unit is an hour of what people count in: GiB, CPUs, GPUs, servers.
            prices[name] = price / resource.usual_unit.factor
    return prices


def _backup_mapping(given: object, errors: list[PolicyError]) -> Mapping[str, Any]:
    where = "scope_backup_strategy"
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        problem = f"must be a mapping such as {{intersection: min}}; given {given!r}"
        errors.append(PolicyError(where, problem))
        return {}
    for key in sorted(set(given) - {"empty", "intersection"}, key=str):
        errors.append(
            PolicyError(f"{where}.{key}", "unknown key; right are empty and intersection")
        )
    return given


def _parse_intersection(given: object, errors: list[PolicyError]) -> Intersection:
    try:
        return Intersection(str(given))
    except ValueError:
        problem = f"given {given!r}, right are {', '.join(Intersection)}"
        errors.append(PolicyError("scope_backup_strategy.intersection", problem))
        return Intersection.MIN


def _parse_entries(
    where: str, given: object, known: Mapping[str, Resource], errors: list[PolicyError]
) -> tuple[Policy, ...]:
    if not isinstance(given, list | tuple):
        errors.append(PolicyError(where, f"must be a list of policies; given {given!r}"))
        return ()
    parsed = (
        _parse_entry(f"{where}[{index}]", entry, known, errors) for index, entry in enumerate(given)
    )
    return tuple(policy for policy in parsed if policy)


def _parse_entry(
    where: str, entry: object, known: Mapping[str, Resource], errors: list[PolicyError]
) -> Policy | None:
    if not isinstance(entry, Mapping):
        errors.append(PolicyError(where, f"must be a mapping; given {entry!r}"))
        return None
    fields = dict(entry)
    if isinstance(entry.get("name"), str):
        where = f"{where} ({entry['name']!r})"
    if where.startswith(_EMPTY):
        if "scope" in fields:
            problem = "not allowed here: it is for the users whom no policy covers; leave it out"
            errors.append(PolicyError(f"{where}.scope", problem))
        fields["scope"] = {"everyone": True}
    try:
        return Policy.model_validate(fields, context={"resources": known})
    except ValidationError as error:
        errors.extend(_readable(where, error))
        return None


def _readable(where: str, error: ValidationError) -> Iterator[PolicyError]:
    """Turn pydantic's findings into sentences that an admin can act on."""
    for finding in error.errors(include_url=False):
        location = finding["loc"]
        place = ".".join([where, *map(str, location)])
        match finding["type"]:
            case "value_error":
                problem = str(finding["ctx"]["error"])
            case "extra_forbidden":
                inside = str(location[0]) if len(location) > 1 else ""
                model = _MODELS.get(inside, Policy)
                problem = f"unknown key; right are {', '.join(model.model_fields)}"
            case "missing":
                problem = "is missing"
            case _:
                problem = f"{finding['msg']}; given {finding['input']!r}"
        yield PolicyError(place, problem)


def _names_given_twice(*lists: object) -> Iterator[PolicyError]:
    """A fault for every name that several entries have, whatever else is wrong with them."""
    entries = [entry for given in lists if isinstance(given, list | tuple) for entry in given]
    names = [entry.get("name") for entry in entries if isinstance(entry, Mapping)]
    counts = Counter(name.strip() for name in names if isinstance(name, str) and name.strip())
    for name, count in sorted(counts.items()):
        if count > 1:
            problem = f"{count} policies have the name {name!r}; a name must be unique"
            yield PolicyError("policy", problem)


def _named(policy: Policy, whom: str, taken: set[str]) -> Policy:
    """The policy with a name, which is made up and added to `taken` where it has none."""
    if policy.name:
        return policy
    per = f" {policy.window.short}" if policy.window.short else ""
    base = f"{policy.resource}{per} for {whom}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base} ({number})", number + 1
    taken.add(name)
    return policy.model_copy(update={"name": name})
