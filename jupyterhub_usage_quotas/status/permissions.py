"""Permissions: the users whose usage a visitor may see, from the Hub's model of their token or
session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..conventions import SCOPE_READ
from ..quotas.subject import Subject, in_utc

ADMIN_SCOPE = "admin:users"
"""A visitor who may change every user may see all usage."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a visitor may see: everybody, or these users and the members of these groups.

    `visitor` is the user of the session or token; None for a service.
    """

    visitor: Subject | None
    everybody: bool
    users: frozenset[str]
    groups: frozenset[str]

    def may_read(self, subject: Subject) -> bool:
        """Whether this user's usage may be seen."""
        by_group = not self.groups.isdisjoint(subject.groups)
        return self.everybody or subject.name in self.users or by_group

    @property
    def needs_groups(self) -> bool:
        """Whether it depends on somebody's groups whether their usage may be seen."""
        return not self.everybody and bool(self.groups)

    @property
    def sees_others(self) -> bool:
        """Whether there may be others whose usage may be seen."""
        own = {self.visitor.name} if self.visitor else set()
        return self.everybody or bool(self.groups or self.users - own)


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


def permissions_of(model: Mapping[str, Any], *, by_token: bool) -> Permissions:
    """The permissions of the user or service that the Hub describes with this model.

    A session of a browser was made for this service alone: its user sees their own usage, and an
    admin everybody's. A token sees what it has the scope for; one for something else, for example a
    server's, does not become more because its owner is an admin.
    """
    visitor = subject_of(model) if model.get("kind", "user") == "user" else None
    scopes = frozenset(str(scope) for scope in model.get("scopes") or ())
    users = set(_filters(scopes, "user"))
    everybody = SCOPE_READ in scopes or ADMIN_SCOPE in scopes
    if visitor is not None and not by_token:
        users.add(visitor.name)
        everybody = everybody or visitor.admin
    return Permissions(visitor, everybody, frozenset(users), frozenset(_filters(scopes, "group")))


def _filters(scopes: Iterable[str], kind: str) -> Iterable[str]:
    """What the read scope is limited to. The Hub has expanded `!user` to `!user=name`."""
    prefix = f"{SCOPE_READ}!{kind}="
    return (scope.removeprefix(prefix) for scope in scopes if scope.startswith(prefix))
