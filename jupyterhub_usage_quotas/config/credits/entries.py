"""The entries of `credits_user`: a user's credits by their names, and which of them pay for a
server by what its user chose.
"""

from __future__ import annotations

import fnmatch
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...quotas.messages import shown, wrong
from .values import KEYS, USUAL_NAME, InvalidCredits, Refilled, named, refilled_of

_ARITIES: Final = (5, 4, 3)
"""Arguments of `credits_user`, in the order in which they are tried: (authenticator, name, groups,
admin, auth_state), the same without the authenticator, and without `auth_state`, too."""
MOST_ENTRIES: Final = 50
LONGEST_TEXT: Final = 1000
"""Characters of what a user chose that are compared."""
DEEPEST: Final = 10
"""Options within options that are compared."""
NOT_IN_NAMES: Final = "/=*?[]"
"""What the name of credits cannot have where there are several: servers are selected by it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Credits of a `name`, which pay for servers that are started with these `user_options`; the
    project of this name pays before them, empty for none.
    """

    name: str
    refilled: Refilled
    user_options: Mapping[str, Any]
    project: str = ""

    def pays_for(self, options: Mapping[str, Any]) -> bool:
        """Whether it pays for a server with these options."""
        return matches(options, self.user_options)


@dataclass(frozen=True, slots=True)
class Entries:
    """What `credits_user` is or returns: entries, of which the first that pays for a server does,
    and their projects, as written.
    """

    entries: tuple[Entry, ...]
    written: tuple[Mapping[str, Any], ...]
    projects: tuple[dict[str, Any], ...]


def entries_of(given: object, option: str = "credits_user") -> Entries:
    """What `credits_user` is or returns: a dict, or a list of some. Raises `InvalidCredits`."""
    listed = list(given) if isinstance(given, list | tuple) else [given]
    if not 0 < len(listed) <= MOST_ENTRIES:
        expected = f"1 to {MOST_ENTRIES}"
        raise InvalidCredits(f"{option}: {wrong('entries', len(listed), expected)}")
    entries: list[Entry] = []
    written: list[Mapping[str, Any]] = []
    projects: dict[str, dict[str, Any]] = {}
    for index, one in enumerate(listed):
        where = f"{option}[{index}]" if len(listed) > 1 else option
        entry, plain, project = _entry(one, where)
        if entry.name in {other.name for other in entries}:
            raise InvalidCredits(f"{where}.name: {shown(entry.name)} is there twice")
        if len(listed) > 1:
            require_selectable(entry.name, f"{where}.name")
        if project is not None and entry.project in projects:
            raise InvalidCredits(
                f"{where}.project: {shown(entry.project)} is that of another entry, too: each entry"
                " needs a project of its own"
            )
        entries.append(entry)
        written.append(plain)
        if project is not None:
            projects[entry.project] = project
    return Entries(tuple(entries), tuple(written), tuple(projects.values()))


def _entry(given: object, where: str) -> tuple[Entry, Mapping[str, Any], dict[str, Any] | None]:
    if isinstance(given, Mapping):
        given = {"name": USUAL_NAME, **given}
    name, has = refilled_of(given, where, optional=("project", "user_options"))
    assert isinstance(given, Mapping)  # noqa: S101 else it was refused
    options = given.get("user_options") or {}
    if not isinstance(options, Mapping):
        raise InvalidCredits(wrong(f"{where}.user_options", options, "a dict of what is chosen"))
    project = given.get("project") or None
    of_project = ""
    if project is not None:
        optional = ("display_name", "user_options")
        of_project, _ = refilled_of(project, f"{where}.project", optional=optional)
        project = {key: project[key] for key in ("name", *KEYS)}
    plain = {"name": name, **{key: given[key] for key in KEYS}}
    if options:
        plain["user_options"] = dict(options)
    return Entry(name, has, dict(options), of_project), plain, project


def require_selectable(name: object, where: str) -> str:
    """Refuse a name that servers cannot be selected by. Raises `InvalidCredits`."""
    found = named(name, where)
    if any(one in NOT_IN_NAMES for one in found):
        expected = f"a name without any of {' '.join(NOT_IN_NAMES)}, where there are several"
        raise InvalidCredits(wrong(where, found, expected))
    return found


def arity_of(function: Callable[..., Any]) -> int:
    """How many arguments `credits_user` takes: decided once, by its signature. Raises
    `InvalidCredits` where it takes none of these.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise InvalidCredits(f"credits_user: its arguments cannot be read: {error}") from None
    for arity in _ARITIES:
        try:
            signature.bind(*range(arity))
        except TypeError:
            continue
        return arity
    expected = "(authenticator, name, groups, admin, auth_state), or the last four or three of them"
    raise InvalidCredits(f"credits_user{signature}: wrong arguments; expected {expected}")


def matches(options: Mapping[str, Any], wanted: Mapping[str, Any], depth: int = DEEPEST) -> bool:
    """Whether a user chose all that is wanted: a text is a regular expression, or where it is none
    a pattern; of a list one is enough; a dict is about options within an option.

    What comes from a form is a list of one text, also where a number is wanted.
    """
    return depth > 0 and all(
        key in options and _matches(options[key], value, depth) for key, value in wanted.items()
    )


def _matches(chosen: object, wanted: object, depth: int) -> bool:
    if isinstance(chosen, list | tuple) and len(chosen) == 1:
        chosen = chosen[0]
    if isinstance(wanted, Mapping):
        return isinstance(chosen, Mapping) and matches(chosen, wanted, depth - 1)
    if isinstance(wanted, list | tuple | set | frozenset):
        return any(_same(chosen, one) for one in wanted)
    if isinstance(wanted, str):
        return not isinstance(chosen, Mapping | list | tuple) and _fits(_text(chosen), wanted)
    return _same(chosen, wanted)


def _same(chosen: object, wanted: object) -> bool:
    return chosen == wanted or _text(chosen) == _text(wanted)


def _text(value: object) -> str:
    return str(value)[: LONGEST_TEXT + 1]


def _fits(text: str, pattern: str) -> bool:
    if len(text) > LONGEST_TEXT:
        return False
    try:
        return re.fullmatch(pattern, text) is not None
    except re.error:
        return fnmatch.fnmatchcase(text, pattern)
