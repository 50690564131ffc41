"""Promise 10: users see only themselves, and tokens no more than they were made for."""

from __future__ import annotations

import pytest

from jupyterhub_usage_quotas.conventions import SCOPE_GRANT, SCOPE_READ
from jupyterhub_usage_quotas.quotas.policy.scope import Names
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


def given_to(access) -> set[str]:
    return {person.name for person in (ALICE, BOB, AL) if access.may_give(person)}


MAY = {"blue": Names(("red",)), "green": Names((), ("*",))}


@pytest.mark.parametrize(
    ("said", "by_token", "gives", "sees"),
    [
        (model(), False, {"bob"}, {"alice", "bob"}),  # alice is in blue, which may give to red
        (model(), True, set(), set()),
        (model(SCOPE_GRANT), True, {"bob", "al"}, set()),
        (model(f"{SCOPE_GRANT}!group=re"), True, {"al"}, set()),
        (model(f"{SCOPE_GRANT}!user=bob"), True, {"bob"}, set()),
        # To themselves only admins give.
        (model(f"{SCOPE_GRANT}!user=alice"), True, set(), set()),
        (model(f"{SCOPE_GRANT}!group=blue"), True, set(), set()),
        (model(admin=True), False, {"alice", "bob", "al"}, {"alice", "bob", "al"}),
        (model(admin=True), True, set(), set()),
        (model("admin:users", admin=True), True, {"alice", "bob", "al"}, {"alice", "bob", "al"}),
        (model("admin:users!group=red"), True, set(), set()),
        (model(SCOPE_READ), True, set(), {"alice", "bob", "al"}),
        (model(f"{SCOPE_GRANT}:more"), True, set(), set()),
        (model(f"{SCOPE_GRANT}!server=bob/"), True, set(), set()),
        (model("custom:usage-quotas"), True, set(), set()),
        (model(SCOPE_GRANT, kind="service"), True, {"alice", "bob", "al"}, set()),
        # A service has no groups, whatever the Hub says of it.
        (model(kind="service"), True, set(), set()),
        (model(kind="service"), False, set(), set()),
        (model(kind="service", admin=True), False, set(), set()),
    ],
)
def test_who_gives_to_whom(said, by_token, gives, sees):
    access = permissions_of(said, by_token=by_token, granters=MAY)
    assert given_to(access) == gives
    assert seen(access) == sees
