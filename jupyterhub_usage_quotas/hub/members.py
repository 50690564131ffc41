"""Who draws on a pool: the users whom a pooled policy covers, as the Hub's database knows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jupyterhub import orm

from ..metering.promql import Users
from ..quotas.policy import Policy


def members_of_pools(policies: Iterable[Policy], db: Any) -> Mapping[str, Users]:
    """By the name of every pooled policy, its members; None where it covers everyone."""
    return {policy.name: _members(policy, db) for policy in policies if policy.pooled}


def _members(policy: Policy, db: Any) -> Users:
    scope, exempt = policy.scope, policy.exempt
    if scope.everyone and not (exempt.user or exempt.group or exempt.admin):
        return None
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
        if scope.covers(user.name, groups) and not exempt.exempts(
            user.name, groups, admin=user.admin
        ):
            members.add(user.name)
    return members
