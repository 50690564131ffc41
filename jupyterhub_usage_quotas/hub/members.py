"""Who draws on a pool: the users whom a pooled policy covers, as the Hub's database knows them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from jupyterhub import orm

from ..metering.promql import Users
from ..quotas.policy import Policy
from ..quotas.verdict import Request

SOME = 200
"""How many users are read at a time."""


def members_of_pools(policies: Iterable[Policy], db: Any) -> Mapping[str, Users]:
    """By the name of every pooled policy, its members; None where it covers everyone."""
    return {policy.name: _members(policy, db) for policy in policies if policy.pooled}


def _members(policy: Policy, db: Any) -> Users:
    if policy.for_everybody:
        return None
    scope = policy.scope
    users = db.query(orm.User)
    if not (scope.everyone or scope.user.globs or scope.group.globs):
        # Few are meant, so not all users need to be looked at.
        users = users.filter(
            orm.User.name.in_(scope.user.exact)
            | orm.User.groups.any(orm.Group.name.in_(scope.group.exact))
        )
    members = set()
    for user in users:
        groups = [group.name for group in user.groups]
        if policy.covers(user.name, groups, admin=user.admin):
            members.add(user.name)
    return members


def everybody(db: Any, groups: Collection[str] = ()) -> Iterator[Request]:
    """All users of the Hub's database, as requests for nothing; with groups, their members only.

    They are read a few at a time: the database is asked on the event loop.
    """
    last = 0
    while True:
        columns = db.query(orm.User.id, orm.User.name, orm.User.admin)
        some = columns.filter(orm.User.id > last).order_by(orm.User.id).limit(SOME).all()
        if not some:
            return
        last = some[-1].id
        rows = (
            db.query(orm.User.id, orm.Group.name)
            .join(orm.User.groups)
            .filter(orm.User.id >= some[0].id, orm.User.id <= last)
        )
        of_user: dict[int, set[str]] = {}
        for number, group in rows:
            of_user.setdefault(number, set()).add(group)
        for user in some:
            theirs = frozenset(of_user.get(user.id, ()))
            if not groups or theirs & set(groups):
                yield Request(user.name, theirs, admin=bool(user.admin), rates={})
