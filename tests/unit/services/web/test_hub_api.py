"""What the viewer asks the Hub: all users, in pages, and no more often than it must."""

from __future__ import annotations

import httpx
import pytest
import respx

from jupyterhub_usage_quotas.errors import HubUnavailable
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.services.web.hub_api import (
    HubClient,
    Subject,
)
from jupyterhub_usage_quotas.status.members import members_of_pools

API = "http://hub.test/hub/api"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hub():
    with respx.mock(base_url=API, assert_all_called=False) as routes:
        yield routes


def client(clock: Clock | None = None) -> HubClient:
    return HubClient(API, "s3cret", clock=clock or Clock())


def user(name: str, *groups: str, admin: bool = False) -> dict:
    return {"kind": "user", "name": name, "groups": list(groups), "admin": admin}


def paged(users: list[dict]):
    def answer(request: httpx.Request) -> httpx.Response:
        assert "application/jupyterhub-pagination+json" in request.headers["Accept"]
        assert request.headers["Authorization"] == "token s3cret"
        offset, limit = (int(request.url.params[name]) for name in ("offset", "limit"))
        following = offset + limit
        more = {"offset": following, "limit": limit} if following < len(users) else None
        items = users[offset:following]
        return httpx.Response(200, json={"items": items, "_pagination": {"next": more}})

    return answer


async def test_all_users_however_many_there_are(hub):
    names = [f"user-{number:04}" for number in range(451)]
    route = hub.get("/users").mock(side_effect=paged([user(name) for name in names]))
    people = await client().subjects()
    assert [person.name for person in people] == names
    assert route.call_count == 3


async def test_a_user_met_on_two_pages_is_one(hub):
    users = [user(f"user-{number:03}") for number in range(200)] + [user("user-199", "late")]
    hub.get("/users").mock(side_effect=paged(users))
    people = await client().subjects()
    assert len(people) == 200
    assert people[-1].groups == {"late"}


async def test_a_list_without_pages_is_not_taken_for_everybody(hub):
    hub.get("/users").respond(json=[user("alice")])
    with pytest.raises(HubUnavailable):
        await client().subjects()


async def test_answers_are_used_again_for_a_while(hub):
    clock = Clock()
    listed = hub.get("/users").mock(side_effect=paged([user("alice")]))
    single = hub.get("/users/alice").respond(json=user("alice"))
    asking = client(clock)
    for _ in range(3):
        await asking.subjects()
        await asking.subject("alice")
    assert (listed.call_count, single.call_count) == (1, 1)
    clock.now = 3600
    await asking.subjects()
    await asking.subject("alice")
    assert (listed.call_count, single.call_count) == (2, 2)


@pytest.mark.parametrize(
    "name", [".", "..", "a/b", "a%2Fb", "ü", "a b", "a\nb", "a?b", "a#b", '"', "x" * 255]
)
async def test_any_name_is_asked_for_as_it_is(hub, name):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        return httpx.Response(200, json=user(name, "g", admin=True))

    hub.route().mock(side_effect=answer)
    assert await client().subject(name) == Subject(name, frozenset({"g"}), admin=True)
    path = asked[0].removeprefix("/hub/api/users/")
    assert "/" not in path
    assert httpx.URL(f"http://x/{path}").path == f"/{name}"


async def test_nobody_of_this_name(hub):
    route = hub.get("/users/bob").respond(404, json={"status": 404})
    asking = client()
    assert await asking.subject("bob") is None
    assert await asking.subject("bob") is None
    assert route.call_count == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(403, json={}),
        httpx.Response(502, text="bad gateway"),
        httpx.Response(200, text="<html>"),
        httpx.ConnectError("no"),
        httpx.ReadTimeout("slow"),
    ],
)
async def test_a_hub_that_does_not_answer_is_not_an_empty_one(hub, answer):
    hub.route().mock(side_effect=[answer] * 2)
    with pytest.raises(HubUnavailable):
        await client().subjects()
    with pytest.raises(HubUnavailable):
        await client().subject("alice")


PEOPLE = [
    Subject("ann", frozenset({"red"})),
    Subject("bob", frozenset({"red", "staff"})),
    Subject("cyd", frozenset({"blue"}), admin=True),
]


def pool(**more) -> dict:
    entry = {"name": "p", "resource": "cpu", "limit": "5 CPU-hours", "window": 7}
    return entry | {"share": "pooled", "scope": {"everyone": True}} | more


@pytest.mark.parametrize(
    ("policy", "members"),
    [
        (pool(), None),
        (pool(scope={"group": ["red"]}), {"ann", "bob"}),
        (pool(scope={"group": ["red"], "user": ["cyd"]}), {"ann", "bob", "cyd"}),
        (pool(scope={"group": [{"glob": "*"}]}), {"ann", "bob", "cyd"}),
        (pool(exempt={"admin": True}), {"ann", "bob"}),
        (pool(exempt={"group": ["staff"]}, scope={"group": ["red"]}), {"ann"}),
    ],
)
def test_who_draws_on_a_pool(policy, members):
    policies = parse_policies([policy], {})
    assert members_of_pools(policies, PEOPLE) == {"p": members}


def test_policies_that_are_not_pooled_have_no_members():
    policies = parse_policies([pool(share="individual")], {})
    assert members_of_pools(policies, PEOPLE) == {}
