"""Reading what an admin wrote into a `PolicySet`, with every error of it at once.

Each error names the entry, the field, what it got and what it expected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from ..messages import not_among, one_of, printable, shown, wrong
from ..resource import Resource
from ..resources import RESOURCES, defined_resource
from ..units import is_unit
from .errors import InvalidPolicies, PolicyError
from .patterns import cannot_be_written, not_on_one_line, unclosed
from .policy import LONGEST_NAME, NOTHING, Intersection, Policy, PolicySet
from .scope import Exempt, Scope
from .selector import ServerSelector

_EMPTY = "scope_backup_strategy.empty"
_CREDIT_PRICES = "credit_prices"
A_POLICY = "one with resource, limit, window and scope"
A_LIST = "a list of mappings, each with resource, limit, window and scope"
SMALLEST_PRICE, LARGEST_PRICE = 1e-12, 1e9
"""In credits per hour."""
DEFINITIONS = "names and their definitions, for example {licenses: {promql: ..., unit: licenses}}"
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
    bought_at: Mapping[str, Mapping[str, float]] = NOTHING,
    further: Sequence[Mapping[str, Any]] = (),
    found: Sequence[PolicyError] = (),
) -> PolicySet:
    """Read `policy` (a list of entries), `scope_backup_strategy` ({empty, intersection}), the
    admin's own `resources` ({name: {promql, unit, display_name}}), besides those that are
    `built_in`, and `credit_prices` ({resource: credits per hour of one unit}). `bought_at` are the
    prices of what else is bought, as a `PolicySet` has them. `failover_open` is taken as it is.
    `further` are entries that another option stands for.

    Raises `InvalidPolicies` with every error found, here or before.
    """
    errors = list(found)
    known = dict(built_in) | _parse_resources(resources, built_in, errors)
    priced = next(one.name for one in known.values() if one.priced_by == _CREDIT_PRICES)
    prices = {priced: _parse_prices(credit_prices, known, errors), **bought_at}
    policies = (
        *_parse_entries("policy", policy, known, errors),
        *_parse_entries("policy", further, known, errors),
    )
    backup = _backup_mapping(backup_strategy, errors)
    empty_given = _as_list(backup.get("empty"))
    empty = _parse_entries(_EMPTY, empty_given, known, errors)
    intersection = _parse_intersection(backup.get("intersection", "min"), errors)
    errors.extend(_names_given_twice(policy, further, empty_given))
    for name in dict.fromkeys(one.resource for one in (*policies, *empty)):
        if known[name].bought and not prices.get(name):
            problem = "is empty, so servers cost nothing; expected for example {cpu: 1, gpu: 10}"
            errors.append(PolicyError(known[name].priced_by, problem))
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
        {name: one for name, one in prices.items() if one},
        frozenset(taken - own),
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
        errors.append(PolicyError(where, wrong("must be a mapping", given, DEFINITIONS)))
        return {}
    parsed = {}
    for name, entry in given.items():
        place = f"{where}[{shown(name)}]"
        if problem := _problem_of_name(name, taken) or _problem_of_definition(entry):
            errors.append(PolicyError(place, problem))
        else:
            parsed[name] = defined_resource(name, entry.get("display_name", name), entry["unit"])
    return parsed


def _problem_of_name(name: object, taken: Collection[str]) -> str:
    fits = isinstance(name, str) and name.isidentifier()
    if fits and name not in taken and len(str(name)) <= LONGEST_NAME:
        return ""
    return wrong("wrong name", name, "letters and digits that are not taken")


def _problem_of_definition(entry: object) -> str:
    expected = "the texts promql, unit and display_name"
    if (
        not isinstance(entry, Mapping)
        or not {"promql", "unit"} <= set(entry) <= {"promql", "unit", "display_name"}
        or not all(isinstance(value, str) and value.strip() for value in entry.values())
    ):
        return wrong("wrong definition", entry, expected)
    # An expression may have several lines.
    if cannot_be_written(entry["promql"]) or "\0" in entry["promql"]:
        return wrong("promql that Prometheus cannot read", entry["promql"], expected)
    if end := unclosed(entry["promql"]):
        what = f"promql with a {end} that has no other end"
        return wrong(what, entry["promql"], "an expression")
    if not_on_one_line(entry.get("display_name", "")):
        return wrong("display_name that is not one line of text", entry["display_name"], expected)
    if is_unit(entry["unit"]):
        return ""
    return wrong("wrong unit", entry["unit"], "what is counted, one word, for example 'licence'")


def _parse_prices(
    given: object, known: Mapping[str, Resource], errors: list[PolicyError]
) -> dict[str, float]:
    """Credits per base unit, from credits per hour of the unit in the resource's example."""
    where = _CREDIT_PRICES
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        errors.append(PolicyError(where, wrong("must be a mapping", given, "for example {cpu: 1}")))
        return {}
    prices = {}
    for name, price in given.items():
        resource, place = known.get(name), f"{where}[{shown(name)}]"
        if resource and resource.is_gauge:
            problem = "is not used over time, so it costs no credits; leave it out"
            errors.append(PolicyError(place, problem))
        elif resource is None or resource.bought or not resource.by_server:
            priced = [one.name for one in known.values() if one.by_server and not one.bought]
            errors.append(PolicyError(place, f"not a resource; expected {one_of(priced)}"))
        elif isinstance(price, bool) or not isinstance(price, int | float) or not _sensible(price):
            problem = wrong("wrong price", price, "a number of credits per hour, not negative")
            errors.append(PolicyError(place, problem))
        elif price:
            # The example's unit is an hour of what people count in: GiB, CPUs, GPUs, servers.
            prices[name] = price / resource.usual_unit.factor
    return prices


def _sensible(price: float) -> bool:
    """Whether a price is one that somebody means: none at all, or neither tiny nor huge."""
    return price == 0 or SMALLEST_PRICE <= price < LARGEST_PRICE


def _backup_mapping(given: object, errors: list[PolicyError]) -> Mapping[str, Any]:
    where = "scope_backup_strategy"
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        problem = wrong("must be a mapping", given, "for example {intersection: min}")
        errors.append(PolicyError(where, problem))
        return {}
    for key in sorted(set(given) - {"empty", "intersection"}, key=shown):
        problem = not_among("unknown key", str(key), ("empty", "intersection"))
        errors.append(PolicyError(f"{where}.{_place(key)}", problem))
    return given


def _parse_intersection(given: object, errors: list[PolicyError]) -> Intersection:
    for one in Intersection:
        if one == given:
            return one
    problem = wrong(got=given, expected=one_of(Intersection))
    errors.append(PolicyError("scope_backup_strategy.intersection", problem))
    return Intersection.MIN


def _parse_entries(
    where: str, given: object, known: Mapping[str, Resource], errors: list[PolicyError]
) -> tuple[Policy, ...]:
    if not isinstance(given, list | tuple):
        errors.append(PolicyError(where, wrong("must be a list of policies", given, A_LIST)))
        return ()
    parsed = (
        _parse_entry(f"{where}[{index}]", entry, known, errors) for index, entry in enumerate(given)
    )
    return tuple(policy for policy in parsed if policy)


def _parse_entry(
    where: str, entry: object, known: Mapping[str, Resource], errors: list[PolicyError]
) -> Policy | None:
    if not isinstance(entry, Mapping):
        errors.append(PolicyError(where, wrong("must be a mapping", entry, A_POLICY)))
        return None
    fields = dict(entry)
    if isinstance(entry.get("name"), str):
        where = f"{where} ({shown(entry['name'])})"
    if where.startswith(_EMPTY):
        if "scope" in fields:
            problem = "not allowed here: it is for users without any policy; leave it out"
            errors.append(PolicyError(f"{where}.scope", problem))
        fields["scope"] = {"everyone": True}
    try:
        return Policy.model_validate(fields, context={"resources": known})
    except ValidationError as error:
        errors.extend(readable(where, error))
        return None


def readable(where: str, error: ValidationError) -> Iterator[PolicyError]:
    """Turn pydantic's findings into sentences that an admin can act on."""
    for finding in error.errors(include_url=False):
        location = finding["loc"]
        place = ".".join([where, *map(_place, location)])
        match finding["type"]:
            case "value_error":
                problem = str(finding["ctx"]["error"])
            case "extra_forbidden":
                inside = str(location[0]) if len(location) > 1 else ""
                known = _MODELS.get(inside, Policy).model_fields
                every = f"expected {one_of(list(known))}"
                problem = not_among("unknown key", str(location[-1]), list(known), every)
            case "missing":
                problem = "is missing"
            case _:
                problem = wrong(str(finding["msg"]), finding["input"])
        yield PolicyError(place, problem)


def _place(key: object) -> str:
    """A key of a mapping, in the name of a place."""
    return printable(key if isinstance(key, str) else shown(key), LONGEST_NAME)


def _names_given_twice(*lists: object) -> Iterator[PolicyError]:
    """An error for every name that several entries have, whether or not they have other errors."""
    entries = [entry for given in lists if isinstance(given, list | tuple) for entry in given]
    names = [entry.get("name") for entry in entries if isinstance(entry, Mapping)]
    counts = Counter(name.strip() for name in names if isinstance(name, str) and name.strip())
    for name, count in sorted(counts.items()):
        if count > 1:
            problem = f"{count} policies have the name {shown(name)}; a name must be unique"
            yield PolicyError("policy", problem)


def _named(policy: Policy, whom: str, taken: set[str]) -> Policy:
    """The policy with a name, which is made up and added to `taken` where it has none."""
    if policy.name:
        return policy
    per = f" {policy.window.short}" if policy.window.short else ""
    base = printable(f"{policy.resource}{per} for {whom}", LONGEST_NAME - len(" (9999)"))
    name, number = base, 2
    while name in taken:
        name, number = f"{base} ({number})", number + 1
    taken.add(name)
    return policy.model_copy(update={"name": name})
