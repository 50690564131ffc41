"""People's decisions over HTTP: who may decide what about whom, and that it happens once."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from jupyterhub_usage_quotas.conventions import SCOPE_GRANT, SCOPE_READ
from jupyterhub_usage_quotas.services.web import hub_api
from jupyterhub_usage_quotas.services.web.handler import Handler
from tests.support.campus import ADMIN, GRANT, HOUR, MADE, TINA, Campus, body, running_campus
from tests.support.viewer import ACCESS, running_viewer, token_of


def test_a_grant_is_written_and_seen_by_its_user(campus: Campus, pupil: str):
    answer = campus.give(TINA, pupil, until="2d", reason="  a late deadline ")
    assert answer.status_code == 201
    (said,) = answer.json()["items"]
    (written,) = campus.about(pupil)
    assert (written.id, written.actor, written.reason) == (said["id"], "tina", "a late deadline")
    assert written.amount == HOUR
    assert written.until - written.start == timedelta(days=2)
    assert written.user_created == datetime.fromisoformat(MADE)
    assert (said["amount"], said["unit"], said["actor"], said["user"]) == (
        1.0,
        "hours",
        "tina",
        pupil,
    )
    own = token_of(pupil)
    (verdict,) = [
        one for one in campus.read("me", own).json()["verdicts"] if one["policy"] == "week"
    ]
    assert (verdict["allowance"], verdict["limit"]) == (9, 8)
    (given,) = verdict["grants"]
    assert (given["actor"], given["until"], given["kind"]) == ("tina", said["until"], "grant")
    for path in (f"users/{pupil}/adjustments", "adjustments", f"adjustments?user={pupil}"):
        assert campus.read(path, own).json()["items"] == [said]
    assert campus.read(f"adjustments/{said['id']}", own).json() == said


def test_several_at_once_or_none(campus: Campus):
    names = [campus.pupil() for _ in range(3)]
    made = campus.give(TINA, *names).json()["items"]
    assert [one["user"] for one in made] == names
    assert campus.give(TINA, *names, "ben").status_code == 404
    assert campus.give(TINA, *names, names[0]).status_code == 400
    assert len(campus.about(*names)) == 3


def test_admins_decide_everything(campus: Campus, pupil: str):
    for wanted in (
        body(pupil, kind="override", amount="20 hours"),
        body(pupil, kind="override", amount="0 hours"),
        body(pupil, kind="exemption", amount=None),
        body(pupil, amount="1000 hours"),
        body("admin"),
        body(everyone=True, users=None, policy="memory", amount="1 GiB-hour"),
    ):
        answer = campus.post("adjustments", ADMIN, wanted)
        assert answer.status_code == 201, answer.text
    (of_all,) = campus.about(None)
    answer = campus.post(f"adjustments/{of_all.id}/void", ADMIN, {"reason": "a mistake"})
    assert answer.json()["voided"]["actor"] == "admin"
    assert len(campus.about(pupil)) == 4


# Each line: whose token, and what is requested. `ben` and `bea` are in group b, `ann` in a; tina
# may give to group a, and is in it; the service `one` to ben alone; `all` to everybody.
BEYOND: list[tuple[str, dict[str, Any], set[int]]] = [
    # Somebody of another group, alone, in a batch, first or last, and by other forms of the name.
    (TINA, body("ben"), {404}),
    (TINA, body("ann", "ben"), {404}),
    (TINA, body("ben", "ann"), {404}),
    (TINA, body("nobody"), {404}),
    (TINA, body("ANN"), {404}),
    (TINA, body("Ben"), {404}),
    (TINA, body("ann "), {404}),
    (TINA, body("be\u006e"), {404}),
    (TINA, body("%62en"), {404}),
    (TINA, body("b%65n"), {404}),
    (TINA, body("./ben"), {404}),
    (TINA, body("ann/../ben"), {404}),
    (TINA, body("ann?x=1"), {404}),
    (TINA, body("ann#"), {404}),
    (TINA, body("ann,ben"), {404}),
    (TINA, body("*"), {404}),
    (TINA, body("{glob: *}"), {404}),
    (TINA, body(".."), {404}),
    (TINA, body("."), {404}),
    (TINA, body("/"), {404}),
    (TINA, body("ben\x00"), {404}),
    (TINA, body("ａｎｎ"), {404}),
    (TINA, body("a"), {404}),
    (TINA, body("ann" * 100), {400}),
    (TINA, body(""), {400}),
    (TINA, body(), {400}),
    (TINA, body("ann") | {"user": "ben"}, {400}),
    (TINA, body("ann") | {"group": "b"}, {400}),
    (TINA, body("ann") | {"actor": "admin"}, {400}),
    (TINA, body("ann") | {"id": 1}, {400}),
    (TINA, body("ann") | {"user_created": MADE}, {400}),
    (TINA, body("ann") | {"admin": True}, {400}),
    (TINA, body("ann") | {"users": [["ben"]]}, {400}),
    (TINA, body("ann") | {"users": {"ben": 1}}, {400}),
    (TINA, body("ann") | {"users": "ann"}, {400}),
    # More than grants to single users, and to oneself.
    (TINA, body("tina"), {403}),
    (TINA, body("ann", "tina"), {403, 404}),
    (TINA, body("ann", everyone=True), {400}),
    (TINA, body(everyone=True, users=None), {403}),
    (TINA, body(everyone=False, users=None), {400}),
    (TINA, body("ann", kind="override"), {403}),
    (TINA, body("ann", kind="exemption", amount=None), {403}),
    (TINA, body("ann", kind="Grant"), {400}),
    # Policies that limit others, none, or that have no name of their own.
    (TINA, body("ann", policy="of-b", amount="1 GPU-hour"), {400}),
    (TINA, body("ann", policy="of-c", amount="1 GPU-hour"), {400}),
    (TINA, body("ann", policy="WEEK"), {400}),
    # Amounts, times and reasons out of bounds.
    (TINA, body("ann", amount=None), {400}),
    (TINA, body("ann", amount="-1 hour"), {400}),
    (TINA, body("ann", amount="0 hours"), {400}),
    (TINA, body("ann", amount="1"), {400}),
    (TINA, body("ann", amount=3600), {400}),
    (TINA, body("ann", amount="nan hours"), {400}),
    (TINA, body("ann", amount="inf hours"), {400}),
    (TINA, body("ann", amount="1e400 hours"), {400}),
    (TINA, body("ann", amount="1e44 hours"), {400}),
    (TINA, body("ann", amount="2.1 GiB-hours", policy="memory"), {403}),
    (TINA, body("ann", until="11 years"), {400}),
    (TINA, body("ann", until="-1d"), {400}),
    (TINA, body("ann", until="2020-01-01T00:00:00Z"), {400}),
    (TINA, body("ann", until="2030-01-01T00:00:00"), {400}),
    (TINA, body("ann", until="soon"), {400}),
    (TINA, body("ann", until=None), {400}),
    (TINA, body("ann", start="2999-01-01T00:00:00Z", until="8999-01-01T00:00:00Z"), {400}),
    (TINA, body("ann", reason=None), {400}),
    (TINA, body("ann", reason=""), {400}),
    (TINA, body("ann", reason="   \n  "), {400}),
    (TINA, body("ann", reason="x" * 1001), {400}),
    (TINA, body("ann", reason="ill\x1b[2J"), {400}),
    # Tokens that may do something else.
    ("one", body("ann"), {404}),
    ("one", body("ben", "ann"), {404}),
    ("one", body("ben", kind="override"), {403}),
    ("all", body(everyone=True, users=None), {403}),
    ("all", body("ann", kind="exemption", amount=None), {403}),
    ("reads", body("ann"), {403}),
    ("elsewhere", body("ann"), {403}),
    ("token-of-ann", body("ann"), {403}),
    ("token-of-ann", body("amy"), {403}),
    # What a group may do counts for sessions; a token has the scopes that it was made with.
    ("token-of-tom", body("ann"), {403}),
    ("nonsense", body("ann"), {401}),
    ("", body("ann"), {401}),
]


@pytest.mark.parametrize(("token", "wanted", "statuses"), BEYOND)
def test_nobody_gives_beyond_their_rights(campus: Campus, token, wanted, statuses):
    before = len(campus.written())
    answer = campus.post("adjustments", token, wanted)
    assert answer.status_code in statuses, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    assert len(campus.written()) == before
    # Nothing of others in the answer: neither policies nor names that were not in the request.
    for secret in {"of-b", "bea", "tutors"} - {wanted.get("policy")}:
        assert secret not in answer.text


ELSEWHERE = [
    ("adjustments", {}),
    ("adjustments?user=ben", {}),
    ("adjustments?users=ben", {}),
    ("adjustments?actor=admin", {}),
    ("adjustments", {"headers": {"X-Forwarded-User": "admin", "X-Remote-User": "admin"}}),
    ("adjustments", {"headers": {"X-HTTP-Method-Override": "PUT", "X-Original-URL": "/admin"}}),
    ("adjustments/", {}),
    ("%61djustments", {}),
    ("users/ben/adjustments", {}),
    ("users/ann/../ben/adjustments", {}),
    ("me/adjustments", {}),
]


@pytest.mark.parametrize(("path", "more"), ELSEWHERE)
def test_no_address_or_header_gives_more(campus: Campus, path, more):
    """A request for a user of another group is refused whatever is said beside it."""
    before = len(campus.written())
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = campus.viewer.get(f"api/v1/{path}", TINA, method=method, json=body("ben"), **more)
        assert answer.status_code in {400, 404, 405}
    assert len(campus.written()) == before


SPELLINGS = ("ben", "%62en", "b%65n", "ben%00", "ann%2F..%2Fben", "..%2Fben", "BEN", "ben%20", ".")


@pytest.mark.parametrize("token", [TINA, "token-of-ann", "token-of-tom"])
def test_nobody_sees_beyond_their_rights(campus: Campus, token):
    made = campus.give(ADMIN, "ben", "bea", reason="of nobody's business").json()["items"]
    campus.give(ADMIN, "ann")
    paths = [
        *(f"users/{name}/adjustments" for name in SPELLINGS),
        *(f"adjustments?user={name}" for name in SPELLINGS),
        *(f"adjustments/{one['id']}" for one in made),
        *("adjustments?group=b", "adjustments?group=b&user=ben", "adjustments?policy=week"),
        *("adjustments?active=true", "adjustments?limit=200", "adjustments?group=a&user=ben"),
        *("adjustments?user=", "adjustments?user=ann&user=ben", "adjustments?user[]=ben"),
    ]
    for path in paths:
        answer = campus.read(path, token)
        assert answer.status_code in {200, 400, 403, 404}
        assert "nobody's business" not in answer.text, path
        if answer.status_code == 200:
            seen = {one["user"] for one in answer.json()["items"]}
            assert seen.isdisjoint({"ben", "bea", None}), path
    # Whether there is such a user shows nowhere.
    for path in ("users/{}/adjustments", "adjustments?user={}"):
        answers = [campus.read(path.format(name), token) for name in ("ben", "nobody")]
        assert [one.status_code for one in answers] == [404, 404]
        assert answers[0].content == answers[1].content
    unknown = campus.read("adjustments/999999", token)
    assert campus.read(f"adjustments/{made[0]['id']}", token).content == unknown.content


def test_who_may_give_to_nobody_and_see_nobody(campus: Campus):
    campus.hub.add_token("neither", "neither", ACCESS)
    assert campus.read("adjustments", "neither").json()["items"] == []
    assert campus.read("adjustments", "elsewhere").status_code == 403


def test_voiding_is_for_admins_and_for_who_made_a_grant(campus: Campus, pupil: str):
    tick = campus.teacher("tick", f"{SCOPE_GRANT}!group=a", groups=["teachers"])
    own, of_admin, of_ben = (
        answer.json()["items"][0]["id"]
        for answer in (
            campus.give(TINA, pupil),
            campus.give(ADMIN, pupil),
            campus.give(ADMIN, "ben"),
        )
    )
    why = {"reason": "the wrong one"}
    for token, number, status in [
        (TINA, of_admin, 403),
        (TINA, of_ben, 404),
        (TINA, 999_999, 404),
        (tick, own, 403),
        (token_of(pupil), own, 403),
        ("reads", own, 403),
        ("one", own, 404),
        ("", own, 401),
    ]:
        answer = campus.post(f"adjustments/{number}/void", token, why)
        assert answer.status_code == status, (token, number)
    for path in ("0", "-1", "1e3", "x", "01", "9" * 30, f"{own}%00", f"%30{own}", f"{own}/.."):
        assert campus.post(f"adjustments/{path}/void", TINA, why).status_code == 404
    assert all(one.voided is None for one in campus.about(pupil, "ben"))
    assert campus.post(f"adjustments/{own}/void", TINA, {"reason": ""}).status_code == 400
    done = campus.post(f"adjustments/{own}/void", TINA, why)
    assert (done.status_code, done.json()["voided"]["actor"]) == (200, "tina")
    again = campus.post(f"adjustments/{own}/void", TINA, why)
    assert (again.status_code, again.json()["title"]) == (409, "Conflict")
    assert campus.post(f"adjustments/{of_admin}/void", ADMIN, why).status_code == 200


def test_a_right_that_was_taken_away_is_gone_at_once(campus: Campus, pupil: str):
    token = campus.teacher("tess", f"{SCOPE_GRANT}!group=a")
    assert campus.give(token, pupil).status_code == 201
    before = dict(campus.hub.tokens[token])
    campus.hub.tokens[token] = before | {"scopes": [ACCESS]}
    assert campus.give(token, pupil).status_code == 403
    campus.hub.tokens[token] = before
    campus.hub.users[pupil]["groups"] = ["b"]
    assert campus.give(token, pupil).status_code == 404
    del campus.hub.tokens[token]
    assert campus.give(token, pupil).status_code == 401
    assert len(campus.about(pupil)) == 1


def test_a_name_that_the_hub_takes_for_another_is_nobodys(campus: Campus, pupil: str):
    """A database that compares names without upper and lower case answers with another user."""
    campus.hub.users[pupil.upper()] = campus.hub.users[pupil]
    assert campus.give(TINA, pupil.upper()).status_code == 404
    assert campus.read(f"users/{pupil.upper()}/adjustments", TINA).status_code == 404


def test_the_next_user_of_a_name_has_nothing_of_the_one_before(campus: Campus, pupil: str):
    number = campus.give(TINA, pupil).json()["items"][0]["id"]
    campus.hub.users[pupil]["created"] = "2026-11-01T08:00:00.5Z"
    # The Hub's answer of a moment ago is not used for what is written.
    (after,) = campus.give(TINA, pupil).json()["items"]
    assert campus.about(pupil)[0].user_created == datetime.fromisoformat("2026-11-01T08:00:00.5Z")
    assert campus.read(f"users/{pupil}/adjustments", TINA).json()["items"] == [after]
    assert campus.read(f"adjustments/{number}", TINA).status_code == 404
    assert campus.post(f"adjustments/{number}/void", TINA, {"reason": "old"}).status_code == 404
    # An admin who looks into what happened sees both.
    seen = campus.read(f"adjustments?user={pupil}", ADMIN).json()["items"]
    assert [one["id"] for one in seen] == [after["id"], number]


# --- once -----------------------------------------------------------------------------------------


def test_the_same_key_and_body_is_carried_out_once(campus: Campus, pupil: str, monkeypatch):
    first = campus.give(TINA, pupil, key="k 1")
    assert first.status_code == 201
    for _ in range(2):
        again = campus.give(TINA, pupil, key="k 1")
        assert (again.status_code, again.json()) == (200, first.json())
    for other in ({"amount": "2 hours"}, {"until": "8d"}, {"reason": "other"}, {"users": ["ann"]}):
        answer = campus.give(TINA, pupil, key="k 1", **other)
        assert (answer.status_code, answer.json()["parameter"]) == (409, "Idempotency-Key")
    number = first.json()["items"][0]["id"]
    for status in (200, 200):
        answer = campus.post(
            f"adjustments/{number}/void",
            TINA,
            {"reason": "undone"},
            headers={"Idempotency-Key": "k 2"},
        )
        assert answer.status_code == status
    # What was answered first is answered after that, too, and nothing is given anew.
    assert campus.give(TINA, pupil, key="k 1").json() == first.json()
    assert len(campus.about(pupil)) == 1


def test_a_repetition_in_a_later_minute_means_what_it_meant(
    campus: Campus, pupil: str, monkeypatch
):
    first = campus.give(TINA, pupil, key="later")
    later = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=3)
    monkeypatch.setattr(Handler, "now", later)
    again = campus.give(TINA, pupil, key="later")
    assert (again.status_code, again.json()) == (200, first.json())


def test_a_key_is_its_owners(campus: Campus, pupil: str):
    """Nobody finds out, takes or spoils a key of somebody else."""
    assert campus.give(TINA, pupil, key="shared").status_code == 201
    assert campus.give(ADMIN, pupil, key="shared").status_code == 201
    assert campus.give("all", pupil, key="shared").status_code == 201
    assert [one.actor for one in campus.about(pupil)] == ["service/all", "admin", "tina"]


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
def test_keys_that_are_none(campus: Campus, pupil: str, key):
    answer = campus.post("adjustments", TINA, body(pupil), headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "Idempotency-Key")
    assert campus.about(pupil) == []


def test_many_at_once_with_one_key_are_one(campus: Campus, pupil: str):
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: campus.give(TINA, pupil, key="at once"), range(8)))
    assert sorted(one.status_code for one in answers) == [200] * 7 + [201]
    assert len({one.text for one in answers}) == 1
    assert len(campus.about(pupil)) == 1


# --- so much in a week ----------------------------------------------------------------------------


def test_a_batch_beyond_the_limit_for_one_is_refused_for_all(campus: Campus, pupil: str):
    more = {"policy": "memory", "amount": "1.5 GiB-hours"}
    assert campus.give(TINA, pupil, **more).status_code == 201
    other = campus.pupil()
    refused = campus.give(TINA, other, pupil, **more)
    assert refused.status_code == 403
    assert pupil in refused.json()["detail"]
    assert "2 GiB-hours" in refused.json()["detail"]
    assert campus.about(other) == []
    # It holds for those who are no admins, and what was voided no longer counts.
    assert campus.give(ADMIN, other, amount="9 GiB-hours", policy="memory").status_code == 201
    number = campus.about(pupil)[0].id
    assert campus.post(f"adjustments/{number}/void", TINA, {"reason": "less"}).status_code == 200
    assert campus.give(TINA, pupil, **more).status_code == 201


# --- sessions of browsers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "user", "status"),
    [
        ("admin", "ben", 201),
        ("tom", "ann", 201),  # a member of tutors-of-a
        ("tom", "ben", 404),
        ("tom", "tom", 403),
        ("lea", "ben", 201),  # of lab, which may give to b*
        ("lea", "ann", 404),  # of her own group, which is another
        ("ann", "ann", 403),
        ("ann", "amy", 403),
    ],
)
def test_a_group_may_give_to_the_members_of_others(campus: Campus, name, user, status):
    cookies = campus.session(name, f"{SCOPE_READ}!user={name}")
    answer = campus.viewer.in_session("adjustments", cookies, method="POST", json=body(user))
    assert answer.status_code == status, answer.text
    may_see = status == 201 or name == user
    seen = campus.viewer.in_session(f"users/{user}/adjustments", cookies).status_code
    assert (seen == 200) is may_see
    assert (campus.viewer.in_session(f"users/{user}", cookies).status_code == 200) is may_see


FORGED: list[dict[str, Any]] = [
    {"headers": {"X-XSRFToken": ""}},
    {"headers": {"X-XSRFToken": "wrong"}},
    {"headers": {"X-XSRFToken": "", "Sec-Fetch-Mode": "navigate"}},
    {"headers": {"X-XSRFToken": "", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin"}},
    {"headers": {"X-XSRFToken": "", "Sec-Fetch-Mode": "websocket"}},
    {"headers": {"Sec-Fetch-Mode": "websocket", "Upgrade": "websocket"}},
    {"headers": {"X-XSRFToken": "", "Authorization": "token nonsense"}},
    {"headers": {"Authorization": "token nonsense"}},
    {"headers": {"X-XSRFToken": "", "Origin": "https://evil.example", "Referer": "https://e.x/"}},
]


@pytest.mark.parametrize("forged", FORGED)
def test_a_session_without_its_token_changes_nothing(campus: Campus, forged):
    cookies = campus.session("admin")
    before = len(campus.written())
    for path, content in (("adjustments", body("ann")), ("adjustments/1/void", {"reason": "none"})):
        answer = campus.viewer.in_session(path, cookies, method="POST", json=content, **forged)
        assert answer.status_code == 401, answer.text
    assert len(campus.written()) == before


def test_the_token_of_another_session_is_none(campus: Campus):
    of_tom, of_admin = campus.session("tom"), campus.session("admin")
    for stolen in (of_tom["_xsrf"], of_admin["_xsrf"][:-3]):
        mixed = of_admin | {"_xsrf": stolen}
        answer = campus.viewer.in_session("adjustments", mixed, method="POST", json=body("ann"))
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (json.dumps(body("ann")), "text/plain"),
        (json.dumps(body("ann")), ""),
        (json.dumps(body("ann")), "application/x-www-form-urlencoded"),
        ("kind=grant&users=ann&policy=week", "application/x-www-form-urlencoded"),
        (json.dumps(body("ann")), "text/plain; application/json"),
    ],
)
def test_only_json_is_read(campus: Campus, content, kind):
    """Of the kinds that a page of another origin can send without asking, none is."""
    answer = campus.viewer.get(
        "api/v1/adjustments", TINA, method="POST", content=content, headers={"Content-Type": kind}
    )
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"kind": "grant"}',
        b'{"users": ["\\ud800"]}',
        b"[" * 5000,
        json.dumps({**GRANT, "users": [f"u{number}" for number in range(201)]}).encode(),
        json.dumps({**GRANT, "users": ["ann"], "everyone": None, "x" * 500: 1}).encode(),
    ],
)
def test_bodies_that_are_none_are_a_problem_not_a_bug(campus: Campus, content):
    answer = campus.viewer.get(
        "api/v1/adjustments",
        TINA,
        method="POST",
        content=content,
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert (answer.status_code, answer.json()["status"]) == (400, 400)
    assert len(answer.content) < 1000


# --- looking it up --------------------------------------------------------------------------------


def test_pages_and_filters(campus: Campus, monkeypatch):
    monkeypatch.setattr(hub_api, "LIST_KEPT", 0.0)
    names = sorted(campus.pupil() for _ in range(5))
    for name in names:
        campus.add(name, "a", "of-this-test")
    made = [campus.give(TINA, name).json()["items"][0]["id"] for name in names]
    later = datetime.now(UTC) + timedelta(days=1)
    more = {"policy": "memory", "amount": "1 GiB-hour", "start": later.isoformat()}
    made.append(campus.give(TINA, names[0], **more).json()["items"][0]["id"])
    campus.post(f"adjustments/{made[1]}/void", TINA, {"reason": "wrong"})
    newest_first = made[::-1]

    def found(filters: str, token: str = ADMIN) -> list[int]:
        path, ids = f"adjustments?group=of-this-test&{filters}", []
        while path:
            answer = campus.read(path, token).json()
            ids += [one["id"] for one in answer["items"]]
            path = (answer["next"] or "").partition("/api/v1/")[2]
        return ids

    for limit in (1, 2, 5, 6, 200):
        assert found(f"limit={limit}") == newest_first
    assert found("policy=memory") == [made[5]]
    assert found("active=true") == [one for one in newest_first if one not in (made[1], made[5])]
    assert found("active=false") == [made[5], made[1]]
    assert found(f"user={names[0]}") == [made[5], made[0]]
    assert found(f"user={names[0]}&policy=week&active=true") == [made[0]]
    assert found("user=ann") == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("before=0", "before"),
        ("before=x", "before"),
        ("active=yes", "active"),
        ("user=" + "x" * 301, "user"),
        ("nothing=1", "nothing"),
    ],
)
def test_a_wrong_parameter_is_named(campus: Campus, query, name):
    answer = campus.read(f"adjustments?{query}", ADMIN)
    assert (answer.status_code, answer.json()["parameter"]) == (400, name)


def test_any_name_can_be_given_to(campus: Campus):
    for name in ("a/b", '"><script>', "o'neil", "ü €", "a+b", "a?b", "=cmd()", "me", "x" * 255):
        campus.add(name, "a")
        assert campus.give(TINA, name).status_code == 201
        path = f"users/{quote(name, safe='')}/adjustments"
        (said,) = campus.read(path, TINA).json()["items"]
        assert said["user"] == name


# --- what is away, and what is not there ----------------------------------------------------------


def test_a_hub_that_is_away_decides_nothing(campus: Campus, pupil: str):
    campus.hub.down = True
    assert campus.give(TINA, pupil).status_code == 503
    campus.hub.down = False
    assert campus.about(pupil) == []


def test_a_ledger_that_is_away_is_a_503_and_the_advice_to_repeat_it(tmp_path):
    with running_campus(tmp_path) as campus:
        (tmp_path / "ledger.sqlite").write_bytes(b"no database" * 1000)
        answer = campus.give(TINA, "ann", key="k")
        assert answer.status_code == 503
        assert "Idempotency-Key" in answer.json()["detail"]
        assert "sqlite" not in answer.text


def test_without_a_ledger_there_is_nothing_to_decide():
    with running_viewer({"UsageQuotaManager": {"policy": []}}) as viewer:
        viewer.hub.add_user("admin", admin=True)
        assert viewer.api("adjustments", "admin").json() == {"items": [], "next": None}
        for path, content in (
            ("adjustments", body("admin")),
            ("adjustments/1/void", {"reason": "why"}),
        ):
            answer = viewer.api(path, "admin", method="POST", json=content)
            assert answer.status_code == 404
            assert "ledger_url" in answer.json()["detail"]


def test_each_decision_is_a_line_of_the_log(campus: Campus, pupil: str, caplog):
    with caplog.at_level(logging.INFO, "usage_viewer"):
        number = campus.give(TINA, pupil, key="log", reason="two\nlines").json()["items"][0]["id"]
        campus.give(TINA, pupil, key="log", reason="two\nlines")
        campus.post(f"adjustments/{number}/void", TINA, {"reason": "no more"})
    lines = [one.getMessage() for one in caplog.records if one.name == "usage_viewer"]
    said = f'id={number} kind="grant" policy="week" user="{pupil}" '
    for line, event in zip(lines, ("made", "repeated", "voided"), strict=True):
        assert line.startswith("audit: at=")
        assert f' event="{event}" through="dashboard" {said}' in line
        assert ' actor="tina" reason="two\\nlines" ' in line
    assert ' voided={"actor": "tina", "at": "' in lines[2]
    assert '"reason": "no more"}' in lines[2]
