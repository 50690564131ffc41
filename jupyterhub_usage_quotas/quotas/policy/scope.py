"""Scopes: the users that a policy covers, and those that it exempts.

Names are literal, with any characters; a pattern is marked as one: `{glob: "a-*"}`.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, field_validator, model_validator

from ..messages import shown, wrong
from ..subject import Subject
from .patterns import broken, cannot_be_written, matches_everything


@dataclass(frozen=True, slots=True)
class Names:
    """A set of names: exact ones, and patterns (of file names; upper and lower case differ)."""

    exact: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        """Whether a name is one of them."""
        return name in self.exact or any(fnmatch.fnmatchcase(name, glob) for glob in self.globs)

    def within(self, other: Names) -> tuple[str, ...]:
        """The names and patterns of which everything is in the other set, too."""
        everything = any(map(matches_everything, other.globs))
        patterns = (one for one in self.globs if everything or one in other.globs)
        return (*(one for one in self.exact if other.has(one)), *patterns)

    def have_any(self, names: Iterable[str]) -> bool:
        """Whether any of several names is one of them."""
        return any(self.has(name) for name in names)

    def __bool__(self) -> bool:
        return bool(self.exact or self.globs)

    def __str__(self) -> str:
        return ", ".join((*self.exact, *self.globs))


A_NAME = 'names, or patterns, for example {glob: "class-*"}'


def _names(value: object) -> Names:
    if isinstance(value, str):
        raise ValueError(wrong("must be a list of names", value, f"[{shown(value)}]"))
    if not isinstance(value, list | tuple | set | frozenset):
        raise ValueError(wrong("must be a list of names", value, f"a list of {A_NAME}"))
    if not value:
        raise ValueError("is an empty list, so the policy would cover nobody; name at least one")
    exact, globs = [], []
    for entry in sorted(value, key=shown) if isinstance(value, set | frozenset) else value:
        if isinstance(entry, str) and entry and not cannot_be_written(entry):
            exact.append(entry)
        elif _is_glob(entry):
            globs.append(_pattern(entry["glob"]))
        else:
            raise ValueError(wrong("must be a list of names", entry, _meant_by(entry)))
    return Names(tuple(exact), tuple(globs))


def _meant_by(entry: object) -> str:
    """What is expected in the place of an entry."""
    if isinstance(entry, int) and not isinstance(entry, bool):
        return f"{A_NAME}; a name of digits needs quotes: {shown(shown(entry))}"
    return A_NAME


def _is_glob(entry: object) -> bool:
    return (
        isinstance(entry, Mapping)
        and set(entry) == {"glob"}
        and isinstance(entry["glob"], str)
        and bool(entry["glob"])
    )


def _pattern(glob: str) -> str:
    if why := broken(glob):
        raise ValueError(wrong(why, glob, 'a pattern, for example "class-*"'))
    return glob


NameList = Annotated[Names, BeforeValidator(_names)]


def _is_true(value: object) -> object:
    if value is not True:
        raise ValueError(wrong("can only be true", value, "true, or leave it out"))
    return value


class Scope(BaseModel):
    """The users that a policy covers: the members of groups, single users, the Hub's admins,
    everyone, or those to whom a function of the admin's assigns it (see `Terms`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    group: NameList = Names()
    user: NameList = Names()
    everyone: bool = False
    admin: bool = False
    assigned: bool = False

    _is_true = field_validator("everyone", "admin", "assigned", mode="before")(_is_true)

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            raise ValueError(wrong("must be a mapping", value, "for example {group: [...]}"))
        return value

    @model_validator(mode="after")
    def _covers_somebody(self) -> Scope:
        if not (self.group or self.user or self.everyone or self.admin or self.assigned):
            raise ValueError(
                "covers nobody; write {group: [...]}, {user: [...]}, {admin: true} or"
                " {everyone: true}"
            )
        return self

    def covers(self, subject: Subject) -> bool:
        """Whether a subject is covered, whatever is assigned to them."""
        named = self.user.has(subject.name) or self.group.have_any(subject.groups)
        return self.everyone or named or (self.admin and subject.admin)

    def __str__(self) -> str:
        parts = [str(self.group), str(self.user), "admins" * self.admin, "everyone" * self.everyone]
        parts.append("those it is assigned to" * (self.assigned and not self.everyone))
        return ", ".join(part for part in parts if part)


class Exempt(BaseModel):
    """The users that a policy does not limit although its scope covers them."""

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
                wrong("must be a mapping", value, "{group: [...]}, {user: [...]} or {admin: true}")
            )
        return value

    def exempts(self, subject: Subject) -> bool:
        """Whether a subject is exempt."""
        named = self.user.has(subject.name) or self.group.have_any(subject.groups)
        return named or (self.admin and subject.admin)
