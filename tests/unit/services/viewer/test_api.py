"""The JSON API over HTTP: what it says, to whom, and what it never says."""

from __future__ import annotations

import csv
import io
import socket
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote, urlsplit

import pytest
from bs4 import BeautifulSoup

from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Stale, Usage
from jupyterhub_usage_quotas.services.viewer.app import routes
from jupyterhub_usage_quotas.services.web import handler
from tests.support.viewer import (
    ACCESS,
    PREFIX,
    UNKNOWN,
    FakeMeter,
    Viewer,
    running_viewer,
    the_minute,
    token_of,
)

GIB = 1024.0**3
HOUR = 3600.0
READ = "custom:usage-quotas:read"
HOSTILE = [
    *("a/b", "a%2Fb", '"><script>alert(1)</script>', "{{ 7*7 }}", "o'neil", "line\nbreak", "ü €"),
    *("a b", "a+b", "a?b=c", "a#b", "a;b", "=cmd()", "x" * 255, "me", "%00", "[a]", "a\\b"),
]
SECTIONS = {
    "UsageQuotaManager": {
        "policy": [
            {
                "name": "memory-week",
                "resource": "memory",
                "limit": "8 GiB-hours",
                "window": 7,
                "scope": {"everyone": True},
            },
            {
                "name": "red",
                "resource": "gpu",
                "limit": "4 GPU-hours",
                "window": "36h",
                "scope": {"group": ["red"], "user": ["somebody-secret"]},
                "servers": {"gpu": True},
            },
        ],
        "failover_open": False,
        "contact": "Ask <us>.",
    }
}
BIG = ServerAttributes("big", "=Big", "work", gpu=True)


def used(gib_hours: float, hours_ago: float = 3, server: ServerAttributes = BIG) -> Fresh:
    """So much within one hour that ended so long ago (0: it goes on)."""
    now = the_minute()
    end = now.timestamp() - hours_ago * HOUR
    bucket = Bucket(end - HOUR, end, gib_hours * GIB * HOUR, server)
    return Fresh(Usage((bucket,), now, 1.0))


@pytest.fixture(scope="module")
def running() -> Iterator[Viewer]:
    with running_viewer(SECTIONS) as viewer:
        yield viewer


@pytest.fixture
def viewer(running: Viewer) -> Viewer:
    hub = running.hub
    hub.down = False
    if not hub.users:
        hub.add_user("alice", "blue")
        hub.add_user("bob", "red")
        hub.add_user("al")
        hub.add_user("admin", admin=True)
        for name in HOSTILE:
            hub.add_user(name)
        hub.add_token("robot", "robot", ACCESS, READ)
        hub.add_token("lecturer", "lecturer", ACCESS, f"{READ}!group=red")
        hub.add_token("other", "other", READ)
    running.meter.readings = {"alice": {"memory": used(3)}}
    running.meter.otherwise = None
    return running


@pytest.fixture
def meter(viewer: Viewer) -> FakeMeter:
    return viewer.meter


def test_where_a_user_stands(viewer):
    said = viewer.api("me", "alice").json()
    assert (said["user"], said["groups"], said["outcome"]) == ("alice", ["blue"], "allowed")
    (verdict,) = said["verdicts"]
    assert verdict["policy"] == "memory-week"
    assert (verdict["used"], verdict["remaining"], verdict["allowance"]) == (3, 5, 8)
    assert verdict["unit"] == "GiB-hours"
    assert verdict["state"] == "fresh"
    assert verdict["exhausted_at"] is None
    assert "failover_detail" not in said


def test_what_comes_back_and_when(viewer):
    """3 GiB-hours were used evenly over an hour; a tenth of the allowance is 0.8 of them, which
    have left the window when 16 of its 60 minutes have.
    """
    (verdict,) = viewer.api("me", "alice").json()["verdicts"]
    began = the_minute() - timedelta(hours=4)
    expected = began + timedelta(days=7, minutes=16)
    assert verdict["gets_back"]["at"] == expected.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert verdict["gets_back"]["amount"] == pytest.approx(0.8)


def test_how_long_it_lasts_at_the_present_servers(viewer, meter):
    """At 2 GiB, the 6 GiB-hours that remain last three hours."""
    meter.readings["alice"] = {"memory": used(2, hours_ago=0)}
    said = viewer.api("me", "alice").json()
    end = the_minute() + timedelta(hours=3)
    assert said["verdicts"][0]["exhausted_at"] == end.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert said["running_servers"] == [
        {"name": "work", "profile": "big", "profile_name": "=Big", "gpu": True}
    ]


def test_unknown_is_never_zero_and_tells_nothing_of_the_inside(viewer, meter):
    meter.readings["alice"] = {"memory": UNKNOWN}
    for path in ("me", "users/alice/usage?resource=memory", "users/alice/sessions"):
        answer = viewer.api(path, "alice")
        assert answer.status_code == 200
        assert "unreachable" in answer.text
        assert "secret" not in answer.text
        assert "10.0.0.7" not in answer.text
    said = viewer.api("me", "alice").json()
    (verdict,) = said["verdicts"]
    assert (said["outcome"], said["failover"]) == ("failover_closed", "unreachable")
    assert (verdict["used"], verdict["remaining"], verdict["fits"]) == (None, None, None)
    assert (verdict["state"], verdict["reason"]) == ("unknown", "unreachable")
    assert viewer.api("users/alice/usage?resource=memory", "alice").json()["buckets"] is None
    assert viewer.api("users/alice/sessions", "alice").json()["sessions"] is None
    forecast = viewer.api("users/alice/forecast?memory=1GiB", "alice").json()
    assert (forecast["known"], forecast["lasts_seconds"]) == (False, None)
    page = viewer.get("users/alice", "token-of-alice")
    assert "not known" in page.text
    assert "10.0.0.7" not in page.text
    assert "0 GiB-hours" not in page.text


def test_stale_is_said(viewer, meter):
    usage = used(3).usage
    meter.readings["alice"] = {"memory": Stale(usage, "stale", "http://10.0.0.7 is down")}
    (verdict,) = viewer.api("me", "alice").json()["verdicts"]
    assert (verdict["state"], verdict["used"]) == ("stale", None)
    assert verdict["covered_until"]
    page = viewer.get("users/alice", "token-of-alice").text
    assert "Usage data is out of date" in page
    assert "10.0.0.7" not in page


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_works_in_an_address_and_harms_no_page(viewer, name):
    path = quote(name, safe="")
    assert viewer.api(f"users/{path}", name).json()["user"] == name
    assert viewer.api(f"users/{path}/usage?resource=memory", name).status_code == 200
    assert viewer.api(f"users/{path}", "admin").json()["user"] == name
    # Whoever they are, they are nobody else.
    assert viewer.api("users/alice", name).status_code == 404
    assert viewer.api(f"users/{path}", "alice").status_code == 404
    page = viewer.get(f"users/{path}", token_of(name))
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "49" not in page.text.partition("<h1>")[2].partition("</h1>")[0]


def test_nobody_learns_who_there_is(viewer):
    """The same answer for a user who is there and one who is not, with whatever may be asked."""
    for token in ("token-of-alice", "lecturer"):
        for path in ("users/{}", "users/{}/usage", "users/{}/sessions", "users/{}/forecast"):
            answers = [
                viewer.get(f"api/v1/{path.format(name)}", token) for name in ("al", "nobody")
            ]
            assert [one.status_code for one in answers] == [404, 404]
            assert answers[0].content == answers[1].content
            for header in ("Content-Type", "Cache-Control", "Vary"):
                assert answers[0].headers[header] == answers[1].headers[header]
    before = len(viewer.hub.requests)
    viewer.api("users/bob", "alice")
    viewer.api("users/nobody", "alice")
    assert not any("/users/" in uri for uri in viewer.hub.requests[before:])


def test_scopes_are_honoured(viewer):
    assert viewer.get("api/v1/users/bob", "lecturer").status_code == 200
    assert viewer.get("api/v1/users/alice", "lecturer").status_code == 404
    assert [one["user"] for one in viewer.get("api/v1/users", "lecturer").json()["items"]] == [
        "bob"
    ]
    assert viewer.get("api/v1/users", "robot").json()["total"] == len(viewer.hub.users)
    assert viewer.get("api/v1/users", "token-of-alice").status_code == 403
    # A token that may read, but was not made for this service.
    assert viewer.get("api/v1/users", "other").status_code == 403


def test_without_a_token(viewer):
    for headers in ({}, {"Authorization": "token nonsense"}, {"Authorization": "Basic eDp5"}):
        answer = viewer.get("api/v1/me", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert viewer.get("api/v1/me?token=token-of-alice").status_code == 401
    page = viewer.get("")
    assert page.status_code == 302
    assert page.headers["Location"].startswith("/hubs/one/hub/api/oauth2/authorize?client_id=")


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("users/alice/usage", "resource"),
        ("users/alice/usage?resource=cpu", "resource"),
        ("users/alice/usage?resource=memory&from=yesterday", "from"),
        ("users/alice/usage?resource=memory&from=2026-01-01T00:00:00", "from"),
        ("users/alice/usage?resource=memory&to=2020-01-01T00:00:00Z", "from"),
        ("users/alice/usage?resource=memory&from=9999-12-31T23:59:59-14:00", "from"),
        ("users/alice/usage?resource=memory&step=minute", "step"),
        ("users/alice/sessions?format=xml", "format"),
        ("users/alice/forecast?memory=lots", "memory"),
        ("users/alice/forecast?memory=-1GiB", "memory"),
        ("users/alice/forecast?cpu=nan", "cpu"),
        ("users/alice/forecast?gpu=-1", "gpu"),
        ("users/alice/forecast?cpu=1e400", "cpu"),
        ("users/alice/forecast?profile=" + "x" * 301, "profile"),
        ("users?limit=0", "limit"),
        ("users?limit=1000", "limit"),
        ("users?limit=ten", "limit"),
        ("users?offset=-1", "offset"),
        ("users?offset=1_0", "offset"),
        ("users?sort=shoe-size", "sort"),
        ("users?state=fine", "state"),
        ("users?serach=x", "serach"),
        ("me?now=1", "now"),
    ],
)
def test_a_wrong_parameter_is_named(viewer, path, parameter):
    answer = viewer.api(path, "admin")
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["parameter"]) == (400, parameter)
    assert problem["detail"].startswith(f"{parameter}: ")


def test_parameters_that_are_no_text_are_a_problem_not_a_bug(viewer):
    answer = viewer.api("users?search=%ff", "admin")
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["api/v1/me", "api/v1/users", "api/v1/users/bob", "", "users"])
def test_nothing_but_reading(viewer, method, path):
    answer = viewer.get(path, "token-of-alice", method=method)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    kind = "application/problem+json" if path.startswith("api") else "text/html"
    assert answer.headers["Content-Type"].startswith(kind)


@pytest.mark.parametrize("path", ["api/v1x", "api/v2/me", "api", "api/v1/users/a/b/c", "../x", "x"])
def test_what_is_not_there(viewer, path):
    answer = viewer.get(path, "token-of-alice")
    assert answer.status_code == 404
    if path.startswith("api/"):
        assert answer.json()["status"] == 404


def test_what_is_the_same_is_not_sent_again(viewer):
    for path in ("policies", "users/alice/sessions?format=csv"):
        first = viewer.api(path, "alice")
        again = viewer.api(path, "alice", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = viewer.api(path, "alice", headers={"If-None-Match": '"other"'})
        assert other.status_code == 200


def test_head_is_get_without_a_body(viewer):
    answer = viewer.api("policies", "alice", method="HEAD")
    assert (answer.status_code, answer.content) == (200, b"")


def test_every_answer_is_protected(viewer):
    for path, token in [
        *(("api/v1/me", "token-of-alice"), ("api/v1/me", ""), ("api/v1/nothing", "")),
        *(("users/alice", "token-of-alice"), ("users/bob", "token-of-alice"), ("nothing", "")),
    ]:
        headers = viewer.get(path, token).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"].startswith("private, no-")
        assert "Authorization" in headers["Vary"]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        script = policy.partition("script-src")[2].partition(";")[0]
        assert "unsafe" not in script
        assert "Server" not in headers


def test_policies_without_other_users_names(viewer):
    own = viewer.api("policies", "bob").json()["items"]
    assert [one["name"] for one in own] == ["memory-week", "red"]
    assert "somebody-secret" not in viewer.api("policies", "bob").text
    assert [one["name"] for one in viewer.api("policies", "alice").json()["items"]] == [
        "memory-week"
    ]
    red = viewer.api("policies", "admin").json()["items"][1]
    assert red["scope"] == {"group": ["red"], "user": ["somebody-secret"]}
    assert red["servers"]["gpu"] is True


@pytest.mark.parametrize("shares", [(0.4, 0.9), (0.9, 0.4), (None, 0.4), (0.4, None)])
def test_sessions_are_as_completely_known_as_the_least_known_resource(viewer, meter, shares):
    now = the_minute()
    usages = [Fresh(Usage(used(2).usage.buckets, now, share)) for share in shares]
    meter.readings["bob"] = dict(zip(("memory", "gpu"), usages, strict=True))
    assert viewer.api("users/bob/sessions", "bob").json()["coverage"] == 0.4


def test_sessions(viewer, meter):
    now = the_minute().timestamp()
    start = now - 10 * HOUR
    plain = ServerAttributes()
    memory = (
        # Two parts of one session, and the same server once more after a pause.
        Bucket(start, start + HOUR, 2 * GIB * HOUR, BIG),
        Bucket(start + HOUR, start + 2 * HOUR, 1 * GIB * HOUR, BIG),
        Bucket(start + 3 * HOUR, start + 4 * HOUR, 4 * GIB * HOUR, BIG),
        Bucket(start, now, 10 * GIB * HOUR, plain),
    )
    meter.readings["bob"] = {
        "memory": Fresh(Usage(memory, the_minute())),
        "gpu": Fresh(Usage((Bucket(start, start + HOUR, HOUR, BIG),), the_minute())),
    }
    said = viewer.api("users/bob/sessions", "bob").json()["sessions"]
    assert [
        (one["server"]["name"], one["ongoing"], one["used"]["memory"]["amount"]) for one in said
    ] == [("", True, 10), ("work", False, 4), ("work", False, 3)]
    assert said[2]["used"]["gpu"] == {"amount": 1, "unit": "GPU-hours"}
    assert "gpu" not in said[1]["used"]
    asked = {"headers": {"Accept": "text/csv"}}
    rows = list(csv.DictReader(io.StringIO(viewer.api("users/bob/sessions", "bob", **asked).text)))
    assert [row["memory (GiB-hours)"] for row in rows] == ["10.0", "4.0", "3.0"]
    # No spreadsheet runs it.
    assert rows[1]["profile name"] == "'=Big"


def test_usage_over_time_adds_up(viewer, meter):
    """Half an hour at a time: whatever the step, what is in the buckets is what was used."""
    now = the_minute().timestamp()
    buckets = tuple(
        Bucket(now - (n + 1) * 1800, now - n * 1800, (n + 1) * GIB * 60, BIG) for n in range(90)
    )
    meter.readings["alice"] = {"memory": Fresh(Usage(buckets, the_minute()))}
    total = sum(range(1, 91)) / 60
    for step, seconds in (("hour", 3600), ("day", 86400), ("week", 604800), ("auto", 3600)):
        said = viewer.api(f"users/alice/usage?resource=memory&step={step}", "alice").json()
        assert said["step_seconds"] == seconds
        assert sum(one["amount"] for one in said["buckets"]) == pytest.approx(total)
        assert all(one["from"] < one["to"] for one in said["buckets"])
    # The last three half hours: 1, 2 and 3 GiB-minutes.
    since = (the_minute() - timedelta(minutes=90)).isoformat()
    asked = f"users/alice/usage?resource=memory&from={quote(since)}"
    assert sum(one["amount"] for one in viewer.api(asked, "alice").json()["buckets"]) == (
        pytest.approx(6 / 60)
    )


def test_a_forecast(viewer, meter):
    """5 GiB-hours are left: an hour at 5 GiB. Nothing of it runs on a server without a GPU."""
    said = viewer.api("users/alice/forecast?memory=5GiB", "alice").json()
    assert said["lasts_seconds"] == pytest.approx(3600)
    assert said["allow_server_launch"] is True
    meter.readings["alice"] = {"memory": used(9)}
    denied = viewer.api("users/alice/forecast?memory=5GiB", "alice").json()
    assert (denied["lasts_seconds"], denied["allow_server_launch"]) == (0, False)
    assert denied["retry_time"]
    meter.readings["bob"] = {"gpu": used(1)}
    endless = viewer.api("users/bob/forecast?cpu=4", "bob").json()
    assert (endless["lasts_seconds"], endless["known"]) == (None, True)


def test_a_hub_that_is_down(viewer):
    viewer.hub.down = True
    for path in ("users/nobody-yet", "me"):
        answer = viewer.get(f"api/v1/{path}", f"fresh-token-{path[:2]}")
        assert answer.status_code == 503
        assert answer.json()["status"] == 503
        assert "127.0.0.1" not in answer.text
        assert "inside" not in answer.text
    page = viewer.get("", "another-fresh-token")
    assert page.status_code == 503
    assert "does not answer" in page.text
    assert "127.0.0.1" not in page.text


def test_the_table_of_all_users_has_pages_too(viewer):
    def names(page) -> list[str]:
        rows = BeautifulSoup(page.text, "html.parser").select("tbody th a")
        return list(dict.fromkeys(row.get_text() for row in rows))

    everybody = sorted(viewer.hub.users)
    seen, path = [], "users?limit=5"
    while path:
        page = viewer.get(path, token_of("admin"))
        assert page.status_code == 200
        seen += names(page)
        following = BeautifulSoup(page.text, "html.parser").find("a", rel="next")
        path = following["href"].removeprefix(PREFIX) if following else ""
    assert seen == everybody
    found = viewer.get("users?search=LIC&state=&sort=-used", token_of("admin"))
    assert names(found) == ["alice"]
    wrong = viewer.get("users?sort=shoe-size", token_of("admin"))
    assert wrong.status_code == 400
    assert "sort: got &#39;shoe-size&#39;; expected one of: name" in wrong.text
    assert viewer.get("users", token_of("alice")).status_code == 404


def test_links_of_the_table_lead_to_the_users(viewer):
    page = viewer.get("users?limit=200", token_of("admin"))
    links = BeautifulSoup(page.text, "html.parser").select("tbody th a")
    for name, address in {link.get_text(): link["href"] for link in links}.items():
        found = viewer.get(address.removeprefix(PREFIX), token_of("admin"))
        assert found.status_code == 200, address
        card = BeautifulSoup(found.text, "html.parser").find(attrs={"data-user": True})
        assert card["data-user"] == name


def test_the_description_is_for_everybody(viewer):
    document = viewer.get("api/v1/openapi.json").json()
    assert document["servers"] == [{"url": f"{PREFIX}api/v1"}]
    served = {
        rule[0]
        .removeprefix(PREFIX + "api/v1")
        .replace("([^/]+)", "{name}")
        .replace("([1-9][0-9]{0,14})", "{id}")
        for rule in routes(PREFIX, None)
        if rule[0].startswith(PREFIX + "api/v1/") and not rule[0].endswith("/?")
    }
    assert set(document["paths"]) == served


# --- what strangers and a bad day do -------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("plain name", True),
        ("a=b", True),
        ("", True),
        *((text, False) for text in ("=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", " =1")),
        *((text, False) for text in ("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x", "\u3000=1")),
    ],
)
def test_no_cell_is_a_formula(viewer, meter, text, harmless):
    """OWASP, "CSV Injection"; also where a spreadsheet separates by semicolons."""
    start = the_minute().timestamp() - HOUR
    named = ServerAttributes(profile="x;=1+1", profile_name=text)
    bucket = Bucket(start, start + HOUR, GIB * HOUR, named)
    meter.readings["bob"] = {"memory": Fresh(Usage((bucket,), the_minute()))}
    answer = viewer.api("users/bob/sessions?format=csv", "bob").text
    (row,) = csv.DictReader(io.StringIO(answer))
    assert row["profile name"] == (text if harmless else f"'{text}")
    (same,) = csv.DictReader(io.StringIO(answer.replace('","', '";"')), delimiter=";")
    assert same["profile"] == "x;=1+1"


def test_a_hub_that_hangs_is_a_503(viewer, monkeypatch):
    monkeypatch.setattr(handler, "HUB_PATIENCE", 0.2)
    monkeypatch.setattr(viewer.hub, "hangs", True)
    for path in ("", "api/v1/me", "users/bob"):
        assert viewer.get(path, "token-of-nobody-yet").status_code == 503


def test_no_request_needs_a_body(viewer):
    """A megabyte is refused by what its header says: it is not waited for."""
    parts = urlsplit(viewer.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as stranger:
        stranger.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\nbegun")
        assert stranger.recv(100).partition(b"\r\n")[0] in (b"", b"HTTP/1.1 400 Bad Request")
    assert viewer.get("api/v1/me", "token-of-bob").status_code == 200


@pytest.mark.parametrize("path", ["static/a%00b", "static/%00", "static/nothing.js"])
def test_a_file_that_cannot_be_is_not_there(viewer, path):
    assert viewer.get(path).status_code == 404


@pytest.mark.parametrize("token", ["", "token-of-bob"])
def test_where_no_page_is_visitors_are_shown_as_logged_in_if_they_are(viewer, token):
    answer = viewer.get("nothing", token)
    assert answer.status_code == 404
    assert ('id="logout"' in answer.text, 'id="login"' in answer.text) == (bool(token), not token)


def test_where_no_page_is_the_hub_need_not_answer(viewer):
    viewer.hub.down = True
    assert viewer.get("nothing", "token-of-bob").status_code == 404
