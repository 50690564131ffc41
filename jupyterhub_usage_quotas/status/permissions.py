"""Permissions: the users whose usage a visitor may see, and those to whom they may give more, from
the Hub's model of their token or session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from ..conventions import SCOPE_GRANT, SCOPE_READ
from ..quotas.policy.scope import Names
from ..quotas.subject import Subject, in_utc

Granters = Mapping[str, Names]
"""By the name of a group, the groups to whose members its members may give more."""
NO_NAMES = Names()
NO_GRANTERS: Granters = MappingProxyType({})

ADMIN_SCOPE = "admin:users"
"""A visitor who may change every user may see all usage, and decide about everybody."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Everybody, or these users and the members of these groups."""

    everybody: bool = False
    users: frozenset[str] = frozenset()
    groups: Names = NO_NAMES

    def has(self, subject: Subject) -> bool:
        """Whether a user is among them."""
        by_group = self.groups.have_any(subject.groups)
        return self.everybody or subject.name in self.users or by_group

    def may_have(self, name: str) -> bool:
        """Whether a user of this name may be among them, in whatever groups."""
        return self.everybody or name in self.users or bool(self.groups)

    def __bool__(self) -> bool:
        return self.everybody or bool(self.users) or bool(self.groups)


@dataclass(frozen=True, slots=True)
class Permissions:
    """Whom a visitor may see (`sees`), and to whom they may give more (`gives`).

    `visitor` is the user of the session or token; None for a service. Who `administers` decides
    about everybody, as much as they like.
    """

    visitor: Subject | None
    sees: Reach
    gives: Reach = Reach()
    administers: bool = False

    @property
    def everybody(self) -> bool:
        """Whether everybody's usage may be seen."""
        return self.sees.everybody

    def may_read(self, subject: Subject) -> bool:
        """Whether this user's usage may be seen."""
        return self.sees.has(subject)

    def may_give(self, subject: Subject) -> bool:
        """Whether this user may be given more. Only admins can give to themselves."""
        is_own = self.visitor is not None and subject.name == self.visitor.name
        return self.administers or (self.gives.has(subject) and not is_own)

    @property
    def sees_others(self) -> bool:
        """Whether there may be others whose usage may be seen."""
        own = {self.visitor.name} if self.visitor else set()
        return self.everybody or bool(self.sees.groups) or bool(self.sees.users - own)


def subject_of(model: Mapping[str, Any]) -> Subject:
    """The subject of a user model of the Hub."""
    groups = frozenset(model.get("groups") or ())
    # Only there for who may read it (read:users).
    created = model.get("created")
    return Subject(
        str(model["name"]),
        groups,
        bool(model.get("admin", False)),
        in_utc(datetime.fromisoformat(created)) if created else None,
    )


def permissions_of(
    model: Mapping[str, Any], *, by_token: bool, granters: Granters = NO_GRANTERS
) -> Permissions:
    """The permissions of the user or service that the Hub describes with this model.

    A session of a browser was made for this service alone: its user sees their own usage, an admin
    everybody's, and a member of a group that may give more to others' members sees those. A token
    sees and gives what it has the scope for; one for something else, for example a server's, does
    not become more because of who its owner is.
    """
    visitor = subject_of(model) if model.get("kind", "user") == "user" else None
    scopes = frozenset(str(scope) for scope in model.get("scopes") or ())
    session = None if by_token else visitor
    administers = ADMIN_SCOPE in scopes or (session is not None and session.admin)
    given = _groups_given_to(session, granters)
    own = [session.name] if session else []
    return Permissions(
        visitor,
        sees=_reach(SCOPE_READ, scopes, own, given, everybody=administers),
        gives=_reach(SCOPE_GRANT, scopes, (), given, everybody=administers),
        administers=administers,
    )


def _groups_given_to(session: Subject | None, granters: Granters) -> list[Names]:
    groups = session.groups if session else frozenset()
    return [names for group, names in granters.items() if group in groups]


def _reach(
    scope: str,
    scopes: frozenset[str],
    users: Iterable[str],
    groups: Iterable[Names],
    *,
    everybody: bool,
) -> Reach:
    """Whom a scope reaches, by its filters, and these users and groups besides."""
    exact = [*_filters(scope, scopes, "group"), *(one for each in groups for one in each.exact)]
    globs = [one for each in groups for one in each.globs]
    return Reach(
        everybody or scope in scopes,
        frozenset([*_filters(scope, scopes, "user"), *users]),
        Names(tuple(sorted({*exact})), tuple(sorted({*globs}))),
    )


def _filters(scope: str, scopes: Iterable[str], kind: str) -> Iterable[str]:
    """What a scope is limited to. The Hub has expanded `!user` to `!user=name`."""
    prefix = f"{scope}!{kind}="
    return (one.removeprefix(prefix) for one in scopes if one.startswith(prefix))
