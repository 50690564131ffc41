"""Who draws on a pool, from a real database of a Hub."""

from __future__ import annotations

import pytest
from jupyterhub import orm

from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.status.hub_database import pool_members_in


@pytest.fixture(scope="module")
def db():
    made = orm.new_session_factory("sqlite:///:memory:")()
    groups = {name: orm.Group(name=name) for name in ("red", "blue", "re*", "nobody")}
    made.add_all(groups.values())
    for name, of, admin in [
        ("ada", ["red"], False),
        ("bob", ["red", "blue"], False),
        ("cleo", ["blue"], True),
        ("dan", [], False),
        ("o'eve%_", ["re*"], False),
    ]:
        made.add(orm.User(name=name, admin=admin, groups=[groups[one] for one in of]))
    made.commit()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("scope", "exempt", "members"),
    [
        ({"group": ["red"]}, None, {"ada", "bob"}),
        ({"group": ["re*"]}, None, {"o'eve%_"}),
        ({"group": [{"glob": "re*"}]}, None, {"ada", "bob", "o'eve%_"}),
        ({"user": ["dan", "o'eve%_", "unknown"]}, None, {"dan", "o'eve%_"}),
        ({"user": [{"glob": "*o*"}]}, None, {"bob", "cleo", "o'eve%_"}),
        ({"group": ["blue"], "user": ["dan"]}, None, {"bob", "cleo", "dan"}),
        ({"group": ["nobody"]}, None, set()),
        ({"everyone": True}, None, None),
        ({"everyone": True}, {"admin": True}, {"ada", "bob", "dan", "o'eve%_"}),
        ({"admin": True}, None, {"cleo"}),
        ({"admin": True, "user": ["dan"]}, None, {"cleo", "dan"}),
        ({"admin": True}, {"user": ["cleo"]}, set()),
        ({"group": ["blue"]}, {"group": ["red"]}, {"cleo"}),
        ({"group": ["red"]}, {"user": ["ada"]}, {"bob"}),
    ],
)
def test_members_are_whom_the_policy_covers(db, scope, exempt, members):
    policy = {
        "name": "pool",
        "resource": "cpu",
        "limit": "1 CPU-hours",
        "window": 1,
        "scope": scope,
        "share": "pooled",
    } | ({"exempt": exempt} if exempt else {})
    single = {"resource": "cpu", "limit": "1 CPU-hours", "window": 1, "scope": scope}
    assert pool_members_in(db, parse_policies([policy, single])) == {"pool": members}
