"""Promise 10: users see only themselves, and tokens no more than they were made for."""

from __future__ import annotations

import pytest

from jupyterhub_usage_quotas.conventions import SCOPE_READ
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.status.permissions import permissions_of

ALICE = Subject("alice", frozenset({"blue"}))
BOB = Subject("bob", frozenset({"red"}))
AL = Subject("al", frozenset({"re"}))


def model(*scopes: str, name: str = "alice", admin: bool = False, kind: str = "user") -> dict:
    return {"kind": kind, "name": name, "admin": admin, "groups": ["blue"], "scopes": list(scopes)}


def seen(access) -> set[str]:
    return {person.name for person in (ALICE, BOB, AL) if access.may_read(person)}


@pytest.mark.parametrize(
    ("said", "by_token", "sees", "others"),
    [
        (model(), False, {"alice"}, False),
        (model(), True, set(), False),
        (model(f"{SCOPE_READ}!user=alice"), True, {"alice"}, False),
        (model(f"{SCOPE_READ}!user=bob"), True, {"bob"}, True),
        (model(f"{SCOPE_READ}!group=red"), True, {"bob"}, True),
        (model(f"{SCOPE_READ}!group=red"), False, {"alice", "bob"}, True),
        (model(SCOPE_READ), True, {"alice", "bob", "al"}, True),
        (model(admin=True), False, {"alice", "bob", "al"}, True),
        # A token that an admin made for something else is not an admin's.
        (model(admin=True), True, set(), False),
        (model(f"{SCOPE_READ}!user=alice", admin=True), True, {"alice"}, False),
        (model("admin:users", admin=True), True, {"alice", "bob", "al"}, True),
        # Neither is one limited to some users an admin's of all.
        (model("admin:users!group=red"), True, set(), False),
        (model("read:users"), True, set(), False),
        (model(f"{SCOPE_READ}:more"), True, set(), False),
        (model(f"{SCOPE_READ}!server=bob/"), True, set(), False),
        (model(SCOPE_READ, kind="service"), True, {"alice", "bob", "al"}, True),
        (model(kind="service", admin=True), True, set(), False),
        # A service with a user's name is not that user.
        (model(kind="service"), False, set(), False),
    ],
)
def test_who_sees_whom(said, by_token, sees, others):
    access = permissions_of(said, by_token=by_token)
    assert seen(access) == sees
    assert access.sees_others is others


@pytest.mark.parametrize("name", ["a!user=bob", "a=b", "!", "x!group=red", "ü\n"])
def test_names_in_filters_are_taken_whole(name):
    access = permissions_of(model(f"{SCOPE_READ}!user={name}"), by_token=True)
    assert access.may_read(Subject(name))
    assert seen(access) == set()
