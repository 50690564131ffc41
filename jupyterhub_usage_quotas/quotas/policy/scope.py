"""Whom a policy covers, and whom it exempts.

Names are taken literally, whatever they are made of; a pattern is marked as one: `{glob: "a-*"}`.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, field_validator, model_validator

from ..subject import Subject


@dataclass(frozen=True, slots=True)
class Names:
    """A set of names: exact ones, and patterns (of file names; upper and lower case differ)."""

    exact: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        """Whether a name is one of them."""
        return name in self.exact or any(fnmatch.fnmatchcase(name, glob) for glob in self.globs)

    def have_any(self, names: Iterable[str]) -> bool:
        """Whether any of several names is one of them."""
        return any(self.has(name) for name in names)

    def __bool__(self) -> bool:
        return bool(self.exact or self.globs)

    def __str__(self) -> str:
        return ", ".join((*self.exact, *self.globs))


def _names(value: object) -> Names:
    if isinstance(value, str):
        raise ValueError(f"must be a list of names, such as [{value!r}]; given the text {value!r}")
    if not isinstance(value, list | tuple | set | frozenset):
        raise ValueError(f"must be a list of names; given {value!r}")
    if not value:
        raise ValueError("is an empty list, so the policy would cover nobody; name at least one")
    exact, globs = [], []
    for entry in sorted(value, key=str) if isinstance(value, set | frozenset) else value:
        if isinstance(entry, str) and entry:
            exact.append(entry)
        elif _is_glob(entry):
            globs.append(entry["glob"])
        else:
            raise ValueError(
                f'must be a list of names, or of patterns such as {{glob: "class-*"}}; {entry!r}'
                " is neither"
            )
    return Names(tuple(exact), tuple(globs))


def _is_glob(entry: object) -> bool:
    return (
        isinstance(entry, Mapping)
        and set(entry) == {"glob"}
        and isinstance(entry["glob"], str)
        and bool(entry["glob"])
    )


NameList = Annotated[Names, BeforeValidator(_names)]


def _is_true(value: object) -> object:
    if value is not True:
        raise ValueError(f"can only be true (leave it out otherwise); given {value!r}")
    return value


class Scope(BaseModel):
    """Whom a policy covers: the members of groups, single users, or everyone."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    group: NameList = Names()
    user: NameList = Names()
    everyone: bool = False

    _everyone_is_true = field_validator("everyone", mode="before")(_is_true)

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

    def covers(self, subject: Subject) -> bool:
        """Whether a subject is covered."""
        named = self.user.has(subject.name) or self.group.have_any(subject.groups)
        return self.everyone or named

    def __str__(self) -> str:
        parts = [str(self.group), str(self.user), "everyone" if self.everyone else ""]
        return ", ".join(part for part in parts if part)


class Exempt(BaseModel):
    """Whom a policy does not limit although its scope covers them."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    group: NameList = Names()
    user: NameList = Names()
    admin: bool = False

    _admin_is_true = field_validator("admin", mode="before")(_is_true)

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        if not isinstance(value, Mapping) or not value:
            raise ValueError(
                "must be a mapping such as {group: [...]}, {user: [...]} or {admin: true};"
                f" given {value!r}"
            )
        return value

    def exempts(self, subject: Subject) -> bool:
        """Whether a subject is exempt."""
        named = self.user.has(subject.name) or self.group.have_any(subject.groups)
        return named or (self.admin and subject.admin)
