"""What an admin can write: policies and the backup strategy, validated into frozen values.

`parse_policies` is the one way in. It reports every fault of a configuration at once, each
naming the entry, the field, what was given and what would be right.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from .units import (
    RESOURCES,
    InvalidQuantity,
    Quantity,
    Resource,
    bounded_duration,
    bounded_quantity,
    parse_duration,
)
from .windows import Rolling


class Intersection(enum.StrEnum):
    """How several policies for the same combination of resource and window become one limit."""

    MIN = "min"
    MAX = "max"
    SUM = "sum"


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a configuration: where it is, what is wrong, and what would be right."""

    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class InvalidPolicies(ValueError):
    """The configuration of the policies has faults; `faults` holds all of them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


def _names(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(f"must be a list of names, such as [{value!r}]; given the text {value!r}")
    if not isinstance(value, list | tuple | set | frozenset):
        raise ValueError(f"must be a list of names; given {value!r}")
    if not value:
        raise ValueError("is an empty list, so the policy would cover nobody; name at least one")
    wrong = [name for name in value if not isinstance(name, str) or not name]
    if wrong:
        raise ValueError(f"must be a list of names; {wrong[0]!r} is not one")
    return tuple(sorted(value)) if isinstance(value, set | frozenset) else tuple(value)


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class Scope(BaseModel):
    """Whom a policy covers: the members of groups, single users, or everyone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: Names = ()
    user: Names = ()
    everyone: bool = False

    @field_validator("everyone", mode="before")
    @classmethod
    def _everyone_is_true(cls, value: object) -> object:
        if value is not True:
            raise ValueError(f"can only be true (leave it out otherwise); given {value!r}")
        return value

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            raise ValueError(f"must be a mapping such as {{group: [...]}}; given {value!r}")
        return value

    @model_validator(mode="after")
    def _covers_somebody(self) -> Scope:
        if not (self.group or self.user or self.everyone):
            raise ValueError(
                "covers nobody; write {group: [...]}, {user: [...]} or {everyone: true}"
            )
        return self

    def __str__(self) -> str:
        parts = [", ".join(self.group), ", ".join(self.user), "everyone" if self.everyone else ""]
        return ", ".join(part for part in parts if part)


class Policy(BaseModel):
    """One rule: so much of a resource, over a window, for a scope.

    `minimum_session` is how long a launch must be able to run on what remains.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str = ""
    resource: str
    limit: Quantity
    window: Rolling
    scope: Scope
    minimum_session: timedelta = timedelta(0)

    @field_validator("name", mode="before")
    @classmethod
    def _name_is_text(cls, value: object) -> object:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"must be a text that is not empty; given {value!r}")
        return value.strip()

    @field_validator("resource", mode="before")
    @classmethod
    def _resource_is_known(cls, value: object) -> object:
        if not isinstance(value, str) or value not in RESOURCES:
            raise ValueError(f"is not known; given {value!r}, right are {', '.join(RESOURCES)}")
        return value

    @field_validator("limit", mode="before")
    @classmethod
    def _limit_fits_resource(cls, value: object, info: ValidationInfo) -> Quantity | object:
        resource = RESOURCES.get(info.data.get("resource", ""))
        # Without a known resource its own fault is reported; the unit cannot be judged.
        return parse_limit(value, resource) if resource else _UNJUDGED

    @field_validator("window", mode="before")
    @classmethod
    def _window_is_a_length(cls, value: object) -> Rolling:
        return parse_window(value)

    @field_validator("minimum_session", mode="before")
    @classmethod
    def _session_is_a_duration(cls, value: object) -> timedelta:
        if not isinstance(value, str):
            raise ValueError(f'must be a duration such as "10 minutes"; given {value!r}')
        return parse_duration(value)

    @property
    def combination(self) -> tuple[str, Rolling]:
        """What two policies must share for the intersection strategy to make them one."""
        return (self.resource, self.window)


_UNJUDGED = RESOURCES["time"].quantity("0")


def parse_limit(value: object, resource: Resource) -> Quantity:
    """Read a limit: {value: 1000, unit: GiB-hours} or "1000 GiB-hours".

    Raises `ValueError` saying what was given and what would be right.
    """
    if isinstance(value, Mapping):
        quantity = _limit_from_mapping(value, resource)
    elif isinstance(value, str):
        quantity = resource.quantity(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        quantity = resource.quantity(repr(value))
    else:
        raise InvalidQuantity(f"given {value!r}; write for example {resource.example!r}")
    if quantity.value < 0:
        raise InvalidQuantity(f"must not be negative; given {value!r}")
    return quantity


def _limit_from_mapping(value: Mapping[Any, Any], resource: Resource) -> Quantity:
    if set(value) != {"value", "unit"}:
        raise InvalidQuantity(
            f"must have the keys value and unit; given {', '.join(map(str, value)) or 'none'}"
        )
    number, unit = value["value"], value["unit"]
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InvalidQuantity(f"value must be a number; given {number!r}")
    if not isinstance(unit, str):
        raise InvalidQuantity(
            f"unit must be a text such as {resource.quantity(resource.example).unit.symbol!r}; "
            f"given {unit!r}"
        )
    return bounded_quantity(number, resource.unit(unit), value)


def parse_window(value: object) -> Rolling:
    """Read a window: a number of days, or a duration such as "36h". Raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidQuantity(
            f'must be a number of days or a duration such as "36h"; given {value!r}'
        )
    length = (
        parse_duration(value) if isinstance(value, str) else bounded_duration(value * 86400, value)
    )
    if length < timedelta(minutes=1):
        raise InvalidQuantity(f"must be at least a minute; given {value!r}")
    return Rolling(length)


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies of a configuration, and what to do where none or several cover a user."""

    policies: tuple[Policy, ...] = ()
    empty: tuple[Policy, ...] = ()
    intersection: Intersection = Intersection.MIN

    def __iter__(self) -> Iterator[Policy]:
        yield from self.policies
        yield from self.empty


def parse_policies(policy: object, backup_strategy: object = None) -> PolicySet:
    """Read `policy` (a list of entries) and `scope_backup_strategy` ({empty, intersection}).

    Raises `InvalidPolicies` with every fault found.
    """
    faults: list[Fault] = []
    policies = _parse_entries("policy", policy, faults)
    backup = _backup_mapping(backup_strategy, faults)
    empty_given = backup.get("empty")
    if empty_given is None:
        empty_given = []
    if isinstance(empty_given, Mapping):
        empty_given = [empty_given] if empty_given else []
    empty = _parse_entries(_EMPTY, empty_given, faults)
    intersection = _parse_intersection(backup.get("intersection", "min"), faults)
    faults.extend(_names_given_twice(policy, empty_given))
    if faults:
        raise InvalidPolicies(faults)
    taken = {policy.name for policy in (*policies, *empty) if policy.name}
    return PolicySet(
        tuple(_named(policy, str(policy.scope), taken) for policy in policies),
        tuple(_named(policy, "no other policy", taken) for policy in empty),
        intersection,
    )


_EMPTY = "scope_backup_strategy.empty"


def _backup_mapping(given: object, faults: list[Fault]) -> Mapping[str, Any]:
    where = "scope_backup_strategy"
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        problem = f"must be a mapping such as {{intersection: min}}; given {given!r}"
        faults.append(Fault(where, problem))
        return {}
    for key in set(given) - {"empty", "intersection"}:
        faults.append(Fault(f"{where}.{key}", "unknown key; right are empty and intersection"))
    return given


def _parse_intersection(given: object, faults: list[Fault]) -> Intersection:
    try:
        return Intersection(str(given))
    except ValueError:
        right = ", ".join(Intersection)
        faults.append(
            Fault("scope_backup_strategy.intersection", f"given {given!r}, right are {right}")
        )
        return Intersection.MIN


def _parse_entries(where: str, given: object, faults: list[Fault]) -> tuple[Policy, ...]:
    if not isinstance(given, list | tuple):
        faults.append(Fault(where, f"must be a list of policies; given {given!r}"))
        return ()
    parsed = (_parse_entry(f"{where}[{index}]", entry, faults) for index, entry in enumerate(given))
    return tuple(policy for policy in parsed if policy)


def _parse_entry(where: str, entry: object, faults: list[Fault]) -> Policy | None:
    if not isinstance(entry, Mapping):
        faults.append(Fault(where, f"must be a mapping; given {entry!r}"))
        return None
    fields = dict(entry)
    if isinstance(entry.get("name"), str):
        where = f"{where} ({entry['name']!r})"
    if where.startswith(_EMPTY):
        if "scope" in fields:
            problem = "not allowed here: it is for the users whom no policy covers; leave it out"
            faults.append(Fault(f"{where}.scope", problem))
        fields["scope"] = {"everyone": True}
    try:
        return Policy.model_validate(fields)
    except ValidationError as error:
        faults.extend(_readable(where, error))
        return None


def _readable(where: str, error: ValidationError) -> Iterator[Fault]:
    """Turn pydantic's findings into sentences that an admin can act on."""
    for finding in error.errors(include_url=False):
        place = ".".join([where, *map(str, finding["loc"])])
        match finding["type"]:
            case "value_error":
                problem = str(finding["ctx"]["error"])
            case "extra_forbidden":
                model = Scope if "scope" in finding["loc"] else Policy
                problem = f"unknown key; right are {', '.join(model.model_fields)}"
            case "missing":
                problem = "is missing"
            case _:
                problem = f"{finding['msg']}; given {finding['input']!r}"
        yield Fault(place, problem)


def _names_given_twice(*lists: object) -> Iterator[Fault]:
    """A fault for every name that several entries have, whatever else is wrong with them."""
    entries = [entry for given in lists if isinstance(given, list | tuple) for entry in given]
    names = [entry.get("name") for entry in entries if isinstance(entry, Mapping)]
    counts = Counter(name.strip() for name in names if isinstance(name, str) and name.strip())
    for name, count in sorted(counts.items()):
        if count > 1:
            yield Fault("policy", f"{count} policies have the name {name!r}; a name must be unique")


def _named(policy: Policy, whom: str, taken: set[str]) -> Policy:
    """The policy with a name, which is made up and added to `taken` where it has none."""
    if policy.name:
        return policy
    base = f"{policy.resource} per {policy.window} for {whom}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base} ({number})", number + 1
    taken.add(name)
    return policy.model_copy(update={"name": name})
