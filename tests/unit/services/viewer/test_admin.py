"""The pages on which people give more: who finds whom, what a form writes, and what it cannot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from bs4 import BeautifulSoup
from bs4.element import Tag

from jupyterhub_usage_quotas.conventions import SCOPE_GRANT, SCOPE_READ
from jupyterhub_usage_quotas.ledger.sql.schema import ENTRIES
from jupyterhub_usage_quotas.services.viewer.pages.admin import several as several_page
from tests.support.campus import ADMIN, HOUR, RULES, TINA, Campus, make_tables, running_campus
from tests.support.pseudo import NAME, faults, write_pseudo_catalogue
from tests.support.viewer import ACCESS, PREFIX, Viewer, running_viewer, token_of

TYPED = {"policy": "week", "amount": "2", "lasts": "7d", "until": "", "reason": "ill on Sunday"}
HOSTILE_NAMES = [
    "<img src=x onerror=alert(1)>",
    "o'n\"eil",
    "{{ 7777*7777 }}",
    "a/b?c#d e%2F",
    "\u202egnp.\u05e9\u05dc\u05d5\u05dd",
    "ünï",
    "x" * 200,
]
HOSTILE_REASONS = [
    "<script>alert(1)</script>",
    "</textarea><img src=x onerror=alert(1)>",
    "{{ config }} {% raw %} ${7777*7777} %(x)s {name}",
    '" onmouseover="alert(1)',
    "\u202ereversed \u2066 isolated",
    "two\nlines",
    "x" * 1000,
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    with running_campus(tmp_path_factory.mktemp("campus")) as campus:
        campus.teacher("tess", f"{SCOPE_GRANT}!group=a", f"{SCOPE_READ}!group=a")
        campus.add("carl", "a", "secret-society")
        for name in HOSTILE_NAMES:
            campus.add(name, "a")
        yield campus


TESS = "token-of-tess"
"""The token of a teacher who may see the members of group a, and give to them."""


def path_of(name: str) -> str:
    return f"admin/users/{quote(name, safe='')}"


def page(campus: Campus, path: str, token: str, status: int = 200) -> BeautifulSoup:
    answer = campus.viewer.get(path, token)
    assert answer.status_code == status, answer.text
    return BeautifulSoup(answer.text, "html.parser")


def send(
    campus: Campus, to: str, token: str, typed: Mapping[str, Any] = TYPED, /, **more: Any
) -> httpx.Response:
    return campus.viewer.get(path_of(to), token, method="POST", data={**typed, **more})


def following(campus: Campus, answer: httpx.Response, token: str) -> BeautifulSoup:
    """The page that a browser is sent to after a form."""
    assert answer.status_code == 303, answer.text
    address = answer.headers["Location"]
    assert address.startswith(PREFIX)
    return page(campus, address.removeprefix(PREFIX), token)


def one(part: BeautifulSoup | Tag, selector: str) -> Tag:
    found = part.select(selector)
    assert len(found) == 1, (selector, found)
    return found[0]


def said(part: BeautifulSoup | Tag, selector: str) -> str:
    return " ".join(one(part, selector).get_text().split())


def rows(found: BeautifulSoup) -> list[str]:
    return [str(row["data-user"]) for row in found.select("tbody[data-user]")]


# --- finding --------------------------------------------------------------------------------------


def test_a_teacher_finds_their_own_students_alone(campus: Campus):
    found = page(campus, "admin", TESS)
    assert {"ann", "amy", "abe"} <= {*rows(found)}
    assert {"ben", "bea", "admin", "tess"}.isdisjoint(rows(found))
    groups = [option["value"] for option in found.select("#usage-quota-group option")]
    assert groups == ["", "a", "lab", "secret-society", "teachers"]
    policies = [option["value"] for option in found.select("#usage-quota-policy option")]
    assert policies == ["", "cpu per 7 days for everyone", "memory", "week"]
    assert "of-b" not in str(found)
    for query, names in (
        ("search=AN", ["ann"]),
        ("group=a&search=am", ["amy"]),
        ("policy=week&search=abe", ["abe"]),
        ("group=b", []),
        ("search=ben", []),
        ("policy=of-b", []),
        ("state=exhausted", []),
        ("state=ok&search=abe", ["abe"]),
        ("search=a&sort=-name&limit=1&group=a&policy=memory", None),
    ):
        listed = rows(page(campus, f"admin?{query}", TESS))
        assert len(listed) == 1 if names is None else listed == names, query
    chosen = page(campus, "admin?state=low&group=a&policy=week", TESS).select("option[selected]")
    assert [option["value"] for option in chosen] == ["a", "week", "low"]
    link = one(page(campus, "admin?search=ann", TESS), "a.usage-quota-name")
    assert link["href"] == f"{PREFIX}admin/users/ann"


def test_who_gives_without_seeing_finds_names_and_learns_no_more(campus: Campus):
    """Neither of usage nor of other groups, by any order or filter."""
    everybody = rows(page(campus, "admin?limit=200", TINA))
    assert "carl" in everybody
    for query in ("sort=-used", "sort=state", "sort=-state"):
        assert sorted(rows(page(campus, f"admin?limit=200&{query}", TINA))) == everybody
    found = page(campus, "admin?search=carl", TINA)
    assert "You do not see this user's usage." in found.get_text()
    assert "GiB-hours" not in str(found.select_one("main"))
    assert "secret-society" not in str(found)
    assert "secret-society" not in str(page(campus, path_of("carl"), TINA))
    for query in ("group=secret-society", "policy=week", "state=ok", "state=exhausted"):
        assert rows(page(campus, f"admin?{query}", TINA)) == [], query


@pytest.mark.parametrize("token", ["token-of-ann", "reads", "token-of-tom"])
@pytest.mark.parametrize("path", ["admin", "admin/", "admin/users/ann", "admin/users/ben"])
def test_who_gives_to_nobody_learns_of_no_such_page(campus: Campus, token, path):
    before = len(campus.written())
    assert campus.viewer.get(path, token).status_code == 404
    if "users" in path:
        assert campus.viewer.get(path, token, method="POST", data=TYPED).status_code == 404
    assert len(campus.written()) == before


def test_a_link_leads_there_for_those_who_give(campus: Campus):
    links = {
        (token, path): [link["href"] for link in page(campus, path, token).select("main nav a")]
        for token in (ADMIN, "token-of-ann")
        for path in ("", "users/ann")
        if (token, path) != ("token-of-ann", "")
    }
    assert f"{PREFIX}admin" in links[ADMIN, ""]
    assert f"{PREFIX}admin/users/ann" in links[ADMIN, "users/ann"]
    assert links["token-of-ann", "users/ann"] == []
    assert f"{PREFIX}admin" in [
        link["href"] for link in page(campus, "users", ADMIN).select("main nav a")
    ]


# --- giving, and taking back ----------------------------------------------------------------------


def test_a_form_gives_as_the_api_does_and_the_next_page_says_it(campus: Campus, pupil: str):
    before = page(campus, path_of(pupil), TESS)
    assert said(before, '[data-policy="week"] .usage-quota-remaining') == "8h"
    # How far over somebody is says how much more they need.
    assert said(before, '[data-policy="week"] .usage-quota-used') == "0s"
    answer = send(campus, pupil, TESS, lasts="2d", reason="  late\r\non Sunday ")
    done = following(campus, answer, TESS)
    (written,) = campus.about(pupil)
    assert (written.actor, written.reason, written.policy) == ("tess", "late\non Sunday", "week")
    assert written.amount == 2 * HOUR
    assert written.until - written.start == timedelta(days=2)
    assert parse_qs(urlsplit(answer.headers["Location"]).query) == {"made": [str(written.id)]}
    text = said(done, "#usage-quota-done")
    assert text.startswith(f"Given to {pupil}: 2h more (week), until ")
    assert "By tess" in text
    assert "late on Sunday" in text
    assert one(done, "#usage-quota-done")["role"] == "status"
    # In force at once, on this page and in the table.
    assert said(done, '[data-policy="week"] .usage-quota-remaining') == "10h"
    (reported,) = campus.read(f"users/{pupil}/adjustments", TESS).json()["items"]
    assert (reported["id"], reported["amount"]) == (written.id, 2)
    # Loading it again writes nothing.
    following(campus, answer, TESS)
    assert len(campus.about(pupil)) == 1


def test_the_table_has_it_at_once_too(campus: Campus):
    def remaining() -> list[str]:
        cells = page(campus, "admin?search=abe", TESS).select("tbody td.text-end")
        return [cell.get_text() for cell in cells]

    assert remaining()[0] == "8h"
    following(campus, send(campus, "abe", TESS), TESS)
    assert remaining()[0] == "10h"


def test_it_is_taken_back_with_a_reason(campus: Campus, pupil: str):
    done = following(campus, send(campus, pupil, TESS), TESS)
    undo = one(done, "#usage-quota-done form")
    hidden = {str(one["name"]): str(one["value"]) for one in undo.select("input")}
    assert hidden["why"] == "Given by mistake"
    refused = campus.viewer.get(path_of(pupil), TESS, method="POST", data=hidden | {"why": "x"})
    assert refused.status_code == 400
    again = BeautifulSoup(refused.text, "html.parser")
    assert one(again, "details[open] input[name=why]")["value"] == "x"
    assert said(again, "details[open] .usage-quota-fault") == "Write why, in 3 to 1000 characters."
    answer = campus.viewer.get(path_of(pupil), TESS, method="POST", data=hidden)
    after = following(campus, answer, TESS)
    assert said(after, "#usage-quota-done").startswith(f"Taken back from {pupil}: 2h more")
    assert said(after, '[data-policy="week"] .usage-quota-remaining') == "8h"
    (written,) = campus.about(pupil)
    assert written.voided is not None
    assert (written.voided.actor, written.voided.reason) == ("tess", "Given by mistake")
    # Sent twice, it is carried out once, and the second says the same.
    repeated = campus.viewer.get(path_of(pupil), TESS, method="POST", data=hidden)
    assert repeated.headers["Location"] == answer.headers["Location"]
    other = campus.viewer.get(path_of(pupil), TESS, method="POST", data=hidden | {"key": "another"})
    assert other.status_code == 409
    assert "taken back before" in other.text


def test_the_history_says_who_gave_what_and_why(campus: Campus, pupil: str):
    send(campus, pupil, ADMIN, reason="by an admin", amount="1")
    send(campus, pupil, TESS, reason="by a teacher", amount="3")
    body = {"kind": "exemption", "policy": "week", "users": [pupil], "until": "1d", "reason": "all"}
    campus.post("adjustments", ADMIN, body)
    found = page(campus, path_of(pupil), TESS)
    listed = found.select(".usage-quota-entries > li")
    texts = [" ".join(entry.get_text(" ").split()) for entry in listed]
    for text, parts in zip(
        texts,
        [("no limit", "admin", "all"), ("3h more", "tess", "a teacher"), ("1h more", "an admin")],
        strict=True,
    ):
        assert "In force" in text
        assert all(part in text for part in parts), text
    # Each takes back their own, and an admin everybody's.
    assert [bool(entry.select("form")) for entry in listed] == [False, True, False]
    of_admin = page(campus, path_of(pupil), ADMIN).select(".usage-quota-entries > li form")
    assert len(of_admin) == 3


def test_the_history_is_in_pages(campus: Campus, pupil: str):
    for number in range(21):
        campus.give(ADMIN, pupil, reason=f"number {number}.")
    first = page(campus, path_of(pupil), ADMIN)
    assert len(first.select(".usage-quota-entries > li")) == 20
    link = str(one(first, ".usage-quota-decided > a")["href"])
    second = page(campus, link.removeprefix(PREFIX), ADMIN)
    assert "number 0." in said(second, ".usage-quota-entries > li")


def test_everybody_reads_what_they_were_given_by_whom_and_why(campus: Campus, pupil: str):
    send(campus, pupil, TESS, reason="ill on <b>Sunday</b>", amount="3")
    own = page(campus, f"users/{pupil}", token_of(pupil))
    text = said(own, ".usage-quota-grant")
    assert text.startswith("Granted: 3h more, until ")
    assert "By tess, " in text
    assert text.endswith(": ill on <b>Sunday</b>")
    link = str(one(own, "main a[href$='/given']")["href"])
    assert link == f"{PREFIX}users/{pupil}/given"
    number = campus.about(pupil)[0].id
    data = {"void": str(number), "why": "was well again"}
    campus.viewer.get(path_of(pupil), TESS, method="POST", data=data)
    assert page(campus, f"users/{pupil}", token_of(pupil)).select(".usage-quota-grant") == []
    given = page(campus, f"users/{pupil}/given", token_of(pupil))
    text = said(given, ".usage-quota-entries > li")
    assert text.startswith("Taken back: 3h more (week), until ")
    assert "By tess, " in text
    assert text.endswith(": was well again")
    # It is read there, and nothing can be done.
    assert given.select("main form") == []


@pytest.mark.parametrize(
    ("token", "sees"),
    [
        *((one, True) for one in (ADMIN, TESS, TINA, "reads")),
        *((one, False) for one in ("token-of-ann", "token-of-tom", "one", "elsewhere")),
    ],
)
def test_of_others_only_those_read_it_who_may(campus: Campus, pupil: str, token, sees):
    campus.give(ADMIN, pupil, "ben", reason="of nobody's business")
    for name in (pupil, "nobody"):
        answer = campus.viewer.get(f"users/{name}/given", token)
        found = sees and name == pupil
        assert answer.status_code == (200 if found else 403 if token == "elsewhere" else 404)
        assert ("nobody's business" in answer.text.replace("&#39;", "'")) is found
    if token not in {ADMIN, "reads", "one"}:
        answer = campus.viewer.get("users/ben/given", token)
        assert "business" not in answer.text


def test_until_is_in_the_zone_of_the_form(campus: Campus, pupil: str):
    end = (datetime.now(UTC) + timedelta(days=40)).strftime("%Y-%m-%dT12:00")
    following(campus, send(campus, pupil, TESS, until=end, zone="Asia/Tokyo"), TESS)
    (written,) = campus.about(pupil)
    assert written.until == datetime.fromisoformat(f"{end}:00+09:00")
    cookie = {"Cookie": "usage-quota-zone=Asia%2FTokyo", "Authorization": f"token {TESS}"}
    form = BeautifulSoup(campus.viewer.get(path_of(pupil), headers=cookie).text, "html.parser")
    assert one(form, "form.usage-quota-give input[name=zone]")["value"] == "Asia/Tokyo"
    assert "Asia/Tokyo" in said(form, "label[for=usage-quota-until]")


# Each line: what is typed, beside which field the page says what is wrong, and the status.
WRONG: list[tuple[dict[str, str], str, int]] = [
    ({"policy": ""}, "policy", 400),
    ({"policy": "of-b"}, "policy", 400),
    ({"policy": "cpu per 7 days for everyone"}, "policy", 400),
    ({"policy": "WEEK"}, "policy", 400),
    ({"amount": ""}, "amount", 400),
    ({"amount": "0"}, "amount", 400),
    ({"amount": "-2"}, "amount", 400),
    ({"amount": "two"}, "amount", 400),
    ({"amount": "2 hours"}, "amount", 400),
    ({"amount": "nan"}, "amount", 400),
    ({"amount": "1e-9"}, "amount", 400),
    ({"amount": "٣"}, "amount", 400),
    ({"amount": "2.1", "policy": "memory"}, "amount", 403),
    ({"lasts": "11y"}, "until", 400),
    ({"lasts": ""}, "until", 400),
    ({"until": "2020-01-01T00:00"}, "until", 400),
    ({"until": "2999-01-01T00:00"}, "until", 400),
    ({"until": "0001-01-01T00:00", "zone": "Asia/Tokyo"}, "until", 400),
    ({"until": "9999-12-31T23:59", "zone": "America/New_York"}, "until", 400),
    ({"until": "tomorrow"}, "until", 400),
    ({"reason": ""}, "reason", 400),
    ({"reason": "  \r\n "}, "reason", 400),
    ({"reason": "x" * 1001}, "reason", 400),
]


@pytest.mark.parametrize(("wrong", "field", "status"), WRONG)
def test_what_is_wrong_is_said_beside_its_field_and_what_was_typed_stays(
    campus: Campus, pupil: str, wrong, field, status
):
    typed = {**TYPED, "amount": "1.5", "key": "kept", **wrong}
    answer = send(campus, pupil, TESS, typed)
    assert answer.status_code == status
    found = BeautifulSoup(answer.text, "html.parser")
    assert one(found, "#usage-quota-problem")["role"] == "alert"
    fault = one(found, f"#usage-quota-{field}-fault")
    control = found.select(f"[aria-describedby='{fault['id']}'][aria-invalid=true]")
    assert control, found
    assert len(found.select(".usage-quota-fault")) == 1
    assert one(found, "#usage-quota-amount")["value"] == typed["amount"]
    assert one(found, "#usage-quota-until")["value"] == typed["until"]
    assert one(found, "#usage-quota-reason").get_text().strip() == typed["reason"].strip()
    assert one(found, ".usage-quota-give [name=key]")["value"] == "kept"
    checked = [one["value"] for one in found.select("input[name=policy][checked]")]
    assert (
        checked
        == ([typed["policy"]] if field != "policy" or not typed["policy"] else [])[: len(checked)]
        or not typed["policy"]
    )
    assert campus.about(pupil) == []


def test_several_mistakes_are_said_at_once(campus: Campus, pupil: str):
    answer = campus.viewer.get(path_of(pupil), TESS, method="POST", data={"x": "y"})
    found = BeautifulSoup(answer.text, "html.parser")
    fields = [str(fault["id"]) for fault in found.select(".usage-quota-fault")]
    assert fields == [
        f"usage-quota-{name}-fault" for name in ("policy", "amount", "until", "reason")
    ]


def test_too_much_is_said_with_the_limit(campus: Campus, pupil: str):
    answer = send(campus, pupil, TESS, policy="memory", amount="2.5")
    assert said(BeautifulSoup(answer.text, "html.parser"), ".usage-quota-fault") == (
        f"Too much within a week: with this, {pupil} would be given 2.5 GiB-hours in all, and you"
        " can give up to 2 GiB-hours. An admin can give more."
    )
    assert following(campus, send(campus, pupil, ADMIN, policy="memory", amount="2.5"), ADMIN)


def test_a_form_that_is_sent_twice_gives_once(campus: Campus, pupil: str):
    key = str(one(page(campus, path_of(pupil), TESS), ".usage-quota-give [name=key]")["value"])
    first, second = (send(campus, pupil, TESS, key=key) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    assert len(campus.about(pupil)) == 1
    # Back, and something else: it is not taken for the same, nor lost.
    other = send(campus, pupil, TESS, key=key, amount="5")
    assert other.status_code == 409
    found = BeautifulSoup(other.text, "html.parser")
    assert "sent before" in said(found, "#usage-quota-problem")
    assert one(found, "#usage-quota-amount")["value"] == "5"
    new = str(one(found, ".usage-quota-give [name=key]")["value"])
    assert new != key
    following(campus, send(campus, pupil, TESS, key=new, amount="5"), TESS)
    assert len(campus.about(pupil)) == 2


def test_the_quota_that_is_used_up_is_selected(campus: Campus, pupil: str):
    found = page(campus, path_of(pupil), TESS)
    offered = [one["value"] for one in found.select("input[name=policy]")]
    # Not the one without a name of its own: what is given by it could be lost.
    assert offered == ["week", "memory"]
    assert [one["value"] for one in found.select("input[name=policy][checked]")] == ["week"]


# --- several at once ------------------------------------------------------------------------------


def several(campus: Campus, token: str, *users: str, **more: Any) -> httpx.Response:
    data = {**TYPED, "users": list(users), **more}
    return campus.viewer.get("admin/give", token, method="POST", data=data)


def listed(found: BeautifulSoup) -> list[str]:
    return [str(entry["data-user"]) for entry in found.select(".usage-quota-reached li")]


def test_whom_it_reaches_is_shown_and_then_written_for_all(campus: Campus):
    table = page(campus, "admin?group=a", TESS)
    boxes = [box["value"] for box in table.select("input[type=checkbox][name=users]")]
    assert {"ann", "amy", "abe"} <= {*boxes}
    link = str(one(table, "#usage-quota-several a")["href"])
    assert link == f"{PREFIX}admin/give?group=a"
    assert {*listed(page(campus, "admin/give?group=a", TESS))} == {*boxes}
    preview = page(campus, "admin/give?users=ann&users=amy&users=ben&users=nobody", TESS)
    assert listed(preview) == ["amy", "ann"]
    assert "It reaches 2 users" in preview.get_text()
    form = one(preview, "form.usage-quota-give")
    assert [str(field["value"]) for field in form.select("[name=users]")] == ["amy", "ann"]
    assert [str(field["value"]) for field in form.select("[name=policy]")] == ["week", "memory"]
    assert said(form, "button") == "Give to 2 users"
    before = [one.id for one in campus.written()]
    key = str(one(form, "[name=key]")["value"])
    answer = several(campus, TESS, "amy", "ann", key=key, reason="a <b>deadline</b>")
    new = [one for one in campus.written() if one.id not in before]
    assert sorted((one.user, one.actor, one.amount) for one in new) == [
        ("amy", "tess", 2 * HOUR),
        ("ann", "tess", 2 * HOUR),
    ]
    done = following(campus, answer, TESS)
    text = said(done, "#usage-quota-done")
    assert text.startswith("Given to 2 users: 2h more (week), until ")
    assert "a <b>deadline</b> amy, ann" in text
    # Sent again, it is carried out once.
    again = several(campus, TESS, "amy", "ann", key=key, reason="a <b>deadline</b>")
    assert again.headers["Location"] == answer.headers["Location"]
    undo = one(done, "#usage-quota-done form")
    data = {str(one["name"]): str(one["value"]) for one in undo.select("input")}
    # One of them was taken back meanwhile, which is no reason to leave the other.
    campus.post(f"adjustments/{new[0].id}/void", TESS, {"reason": "before"})
    taken = campus.viewer.get("admin/give", TESS, method="POST", data=data)
    after = following(campus, taken, TESS)
    assert said(after, "#usage-quota-done").startswith("Taken back from 2 users: 2h more")
    voided = [one for one in campus.written() if one.id not in before]
    assert sorted(one.voided.reason for one in voided if one.voided) == [
        "Given by mistake",
        "before",
    ]


def test_nobody_in_a_batch_is_reached_who_may_not_be(campus: Campus):
    before = len(campus.written())
    for users in (
        ("ann", "ben"),
        ("ben", "ann"),
        ("ben",),
        ("ann", "nobody"),
        ("ann", "tess"),
        ("ann", "ANN"),
        ("ann", "ann"),
        ("ann,ben",),
        ("*",),
        ("",),
        (),
        ("ann", *map("many{}".format, range(200))),
    ):
        answer = several(campus, TESS, *users)
        assert answer.status_code in {400, 403, 404}, users
        assert "ben" not in listed(BeautifulSoup(answer.text, "html.parser"))
    # A field that only the address of the preview has writes nothing of its own.
    for more in ({"group": "b"}, {"everyone": "true"}, {"kind": "exemption"}):
        assert several(campus, TESS, "ben", **more).status_code in {400, 404}
    assert listed(page(campus, "admin/give?group=b", TESS)) == []
    assert listed(page(campus, "admin/give?group=secret-society", TINA)) == []
    assert len(campus.written()) == before
    for token in ("token-of-ann", "reads", "token-of-tom"):
        assert several(campus, token, "ann").status_code == 404
        assert campus.viewer.get("admin/give?users=ann", token).status_code == 404
    assert len(campus.written()) == before


def test_what_is_wrong_with_a_batch_is_said_and_nobody_is_given_anything(campus: Campus):
    before = len(campus.written())
    answer = several(campus, TESS, "amy", "ann", policy="memory", amount="2.5", key="kept")
    assert answer.status_code == 403
    found = BeautifulSoup(answer.text, "html.parser")
    assert "you can give up to 2 GiB-hours" in said(found, "#usage-quota-amount-fault")
    assert one(found, "#usage-quota-amount")["value"] == "2.5"
    assert listed(found) == ["amy", "ann"]
    assert one(found, ".usage-quota-give [name=key]")["value"] == "kept"
    assert len(campus.written()) == before


def test_a_batch_of_others_is_neither_shown_nor_taken_back(campus: Campus):
    ids = [one["id"] for one in campus.give(ADMIN, "ben", "ann").json()["items"]]
    numbers = ",".join(map(str, ids))
    shown = page(campus, f"admin/give?made={numbers}", TESS)
    # Of those whom she may give to, what was given is no secret.
    assert "ben" not in said(shown, "#usage-quota-done")
    assert shown.select("#usage-quota-done form") == []
    for given in (numbers, str(ids[0]), str(ids[1]), "999999"):
        data = {"void": given, "why": "not mine"}
        answer = campus.viewer.get("admin/give", TESS, method="POST", data=data)
        assert answer.status_code in {403, 404}
        assert "ben" not in BeautifulSoup(answer.text, "html.parser").select_one("main").get_text()
    assert all(one.voided is None for one in campus.written() if one.id in ids)
    for wrong in ("x", "1,", ",", "0", "-1", "1e3", ",".join("1" * 201), "9" * 30):
        assert campus.viewer.get(f"admin/give?made={wrong}", TESS).status_code == 404


def test_a_large_group_is_given_to_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(several_page, "MOST_USERS", 3)
    with running_campus(tmp_path) as large:
        names = [f"m{number}" for number in range(5)]
        for name in names:
            large.add(name, "big")
        first = page(large, "admin/give?group=big", ADMIN)
        assert listed(first) == names[:3]
        assert "Of the group big: 1 to 3 of 5." in first.get_text()
        link = str(one(first, "section a")["href"]).removeprefix(PREFIX)
        assert listed(page(large, link, ADMIN)) == names[3:]
        answer = several(large, ADMIN, *listed(first), policy="memory", amount="1")
        assert said(following(large, answer, ADMIN), "#usage-quota-done").startswith(
            "Given to 3 users"
        )
        assert [one.user for one in large.written()] == names[2::-1]


# --- what nobody can ------------------------------------------------------------------------------

# Of tess, who may give to group a: the address that a form is sent to, and what is in it. `ben` is
# in group b.
BEYOND: list[tuple[str, dict[str, Any]]] = [
    *((f"admin/users/{name}", {}) for name in ("ben", "nobody", "admin", "tess", "tom")),
    *(
        (f"admin/users/{name}", {})
        for name in ("BEN", "%62en", "ann%2F..%2Fben", "..%2Fben", "ben%20", "ben%00", "be%6e")
    ),
    *((f"admin/users/{name}", {}) for name in ("ann/../ben", "ANN", "ann%20", "%EF%BD%81nn", "*")),
    *((f"admin/users/ben?{query}", {}) for query in ("name=ann", "user=ann", "users=ann")),
    *(("admin/users/ben", {name: "ann"}) for name in ("name", "user", "users", "subject")),
    ("admin/users/ben", {"_xsrf": "x", "void": "1", "why": "not mine"}),
    ("admin", {"users": "ben"}),
    ("admin/users", {"users": "ben"}),
    ("admin/users/", {"name": "ben"}),
]


@pytest.mark.parametrize(("path", "more"), BEYOND)
def test_nobody_of_another_group_is_reached_by_any_address_or_field(campus: Campus, path, more):
    before = campus.written()
    answer = campus.viewer.get(path, TESS, method="POST", data={**TYPED, **more})
    assert answer.status_code in {404, 405}
    assert campus.written() == before
    assert campus.viewer.get(path, TESS).status_code in {200, 404}
    for secret in ("of-b", "bea"):
        assert secret not in answer.text


@pytest.mark.parametrize(
    "more",
    [
        *({name: "ben"} for name in ("user", "users", "name", "subject", "group")),
        {"users": ["ben", "bea"]},
        {"everyone": "true"},
        {"kind": "exemption"},
        {"kind": "override", "limit": "99"},
        {"actor": "admin"},
        {"id": "1"},
        {"user_created": "2020-01-01T00:00:00Z"},
        {"policy": ["week", "of-b"]},
    ],
)
def test_a_field_of_no_form_changes_nothing(campus: Campus, pupil: str, more):
    """What is not a field is not read; of two fields of one name the last is, and it is checked."""
    before = [one.id for one in campus.written()]
    answer = send(campus, pupil, TESS, **more)
    new = [one for one in campus.written() if one.id not in before]
    assert answer.status_code == (400 if "policy" in more else 303)
    assert [(one.user, one.actor, one.policy, type(one).__name__) for one in new] == (
        [] if "policy" in more else [(pupil, "tess", "week", "Grant")]
    )


def test_by_headers_nobody_is_reached_either(campus: Campus):
    before = len(campus.written())
    for headers in (
        {"X-Forwarded-User": "admin", "X-Remote-User": "admin"},
        {"X-HTTP-Method-Override": "GET", "X-Original-URL": "/admin/users/ann"},
        {"X-Usage-Quota-Part": "live"},
    ):
        answer = campus.viewer.get(path_of("ben"), TESS, method="POST", data=TYPED, headers=headers)
        assert answer.status_code == 404
    assert len(campus.written()) == before


def test_nobody_takes_back_what_is_not_theirs(campus: Campus, pupil: str):
    def made(token: str, name: str) -> int:
        number: int = campus.give(token, name).json()["items"][0]["id"]
        return number

    of_admin, own, of_ben = made(ADMIN, pupil), made(TESS, pupil), made(ADMIN, "ben")
    campus.add("other", "a")
    for token, name, number, status in [
        (TESS, pupil, of_admin, 403),
        (TINA, pupil, own, 403),
        (TESS, pupil, of_ben, 404),
        (TESS, "ben", of_ben, 404),
        (TESS, "other", own, 404),
        (ADMIN, "other", own, 404),
        (TESS, pupil, "999999", 404),
        (TESS, pupil, "1e3", 404),
        (TESS, pupil, "9" * 40, 404),
        (TESS, pupil, f"0{own}", 404),
    ]:
        data = {"void": number, "why": "not mine"}
        answer = campus.viewer.get(path_of(name), token, method="POST", data=data)
        assert answer.status_code == status, (name, number)
    assert all(one.voided is None for one in campus.about(pupil, "ben"))


def test_a_right_that_was_taken_away_is_gone_at_once(campus: Campus, pupil: str):
    token = campus.teacher("theo", f"{SCOPE_GRANT}!group=a")
    following(campus, send(campus, pupil, token), token)
    campus.hub.users[pupil]["groups"] = ["b"]
    assert send(campus, pupil, token).status_code == 404
    campus.hub.tokens[token] |= {"scopes": [ACCESS]}
    assert send(campus, "ann", token).status_code == 404
    del campus.hub.tokens[token]
    assert send(campus, "ann", token).status_code == 401
    assert len(campus.about(pupil)) == 1


# --- sessions of browsers -------------------------------------------------------------------------


def in_browser(
    campus: Campus, path: str, cookies: Mapping[str, str], **options: Any
) -> httpx.Response:
    """A page that a browser goes to, or a form that it sends."""
    headers = {
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Site": "same-origin",
    } | options.pop("headers", {})
    return campus.viewer.get(path, headers=headers, **options)


@pytest.mark.parametrize(("name", "other"), [("tom", "ben"), ("admin", None)])
def test_a_teacher_in_a_browser_finds_gives_and_takes_back(campus: Campus, pupil, name, other):
    cookies = campus.session(name)
    found = BeautifulSoup(in_browser(campus, "admin", cookies).text, "html.parser")
    assert "ann" in rows(found)
    assert other not in rows(found)
    form = one(
        BeautifulSoup(in_browser(campus, path_of(pupil), cookies).text, "html.parser"),
        "form.usage-quota-give",
    )
    hidden = {str(one["name"]): str(one["value"]) for one in form.select("[type=hidden]")}
    assert hidden["_xsrf"] == cookies["_xsrf"]
    assert form["action"] == PREFIX + path_of(pupil)
    answer = in_browser(campus, path_of(pupil), cookies, method="POST", data=TYPED | hidden)
    assert answer.status_code == 303, answer.text
    (written,) = campus.about(pupil)
    assert written.actor == name
    data = {"void": written.id, "why": "a slip", "_xsrf": cookies["_xsrf"]}
    answer = in_browser(campus, path_of(pupil), cookies, method="POST", data=data)
    assert answer.status_code == 303
    assert campus.about(pupil)[0].voided is not None
    if other:
        data = TYPED | hidden
        answer = in_browser(campus, path_of(other), cookies, method="POST", data=data)
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        (None, {}),
        ("", {}),
        ("wrong", {}),
        ("{other}", {}),
        ("{own}x", {}),
        (None, {"Sec-Fetch-Mode": "cors"}),
        (None, {"Sec-Fetch-Mode": "no-cors"}),
        (None, {"Sec-Fetch-Mode": "websocket"}),
        ("{own}", {"Sec-Fetch-Mode": "websocket", "Upgrade": "websocket"}),
        (None, {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}),
        (None, {"X-XSRFToken": "wrong"}),
        ("{own}", {"Authorization": "token nonsense"}),
        (None, {"Content-Type": "text/plain"}),
    ],
)
def test_a_forged_form_writes_nothing(campus: Campus, token, headers):
    cookies, other = campus.session("admin"), campus.session("tom")
    given = campus.give(ADMIN, "ann").json()["items"][0]["id"]
    before = campus.written()
    data = dict(TYPED)
    if token is not None:
        data["_xsrf"] = token.format(own=cookies["_xsrf"], other=other["_xsrf"])
    for more in ({}, {"void": str(given), "why": "forged"}):
        answer = in_browser(
            campus, path_of("ann"), cookies, method="POST", data=data | more, headers=headers
        )
        assert answer.status_code == 401, answer.text
        assert "Nothing was written" in answer.text
    assert campus.written() == before


def test_who_is_not_logged_in_is_sent_to_log_in_but_not_with_a_form(campus: Campus):
    answer = campus.viewer.get("admin/users/ann")
    assert answer.status_code == 302
    assert "oauth2/authorize" in answer.headers["Location"]
    assert campus.viewer.get("admin/users/ann", method="POST", data=TYPED).status_code == 401


# --- hostile names and reasons --------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_is_only_text(campus: Campus, name: str):
    campus.add(name, "a")
    found = page(campus, "admin?limit=200", TESS)
    links = [str(link["href"]) for link in found.select("a.usage-quota-name")]
    assert rows(found).count(name) == 1
    assert f"{PREFIX}{path_of(name)}" in links
    assert one(page(campus, path_of(name), TESS), "h1 bdi").get_text() == name
    done = following(campus, send(campus, name, TESS, reason=f"for {name}"), TESS)
    assert name in one(done, "#usage-quota-done").get_text()
    (written,) = campus.about(name)
    assert written.reason == f"for {name}"
    only_ours(done)


@pytest.mark.parametrize("reason", HOSTILE_REASONS)
def test_a_reason_is_only_text(campus: Campus, pupil: str, reason: str):
    refused = BeautifulSoup(send(campus, pupil, TESS, reason=reason, amount="").text, "html.parser")
    assert one(refused, "#usage-quota-reason").get_text().lstrip("\n") == reason
    only_ours(refused)
    done = following(campus, send(campus, pupil, TESS, reason=reason), TESS)
    assert campus.about(pupil)[0].reason == reason
    assert one(done, "#usage-quota-done .usage-quota-reason").get_text() == reason
    only_ours(done)
    only_ours(page(campus, path_of(pupil), token_of("admin")))


def only_ours(found: BeautifulSoup) -> None:
    """Nothing in it came to life."""
    main = one(found, "main")
    assert main.select("script, img") == []
    assert [
        tag for tag in main.find_all(True) if any(name.startswith("on") for name in tag.attrs)
    ] == []
    assert "60481729" not in main.get_text()


@pytest.mark.parametrize(
    ("reason", "kept"),
    [("ill\x1b[2J", "ill [2J"), ("a\x00bc", "a bc"), ("bell\x07s", "bell s")],
)
def test_what_steers_a_terminal_is_left_out(campus: Campus, pupil: str, reason, kept):
    following(campus, send(campus, pupil, TESS, reason=reason), TESS)
    assert campus.about(pupil)[0].reason == kept


def test_what_no_ledger_keeps_is_refused(campus: Campus, pupil: str):
    answer = send(campus, pupil, TESS, reason="deleted\x7f")
    assert answer.status_code == 400
    problem = one(BeautifulSoup(answer.text, "html.parser"), "#usage-quota-problem p")
    assert "control characters" in problem.get_text()
    assert problem["lang"] == "en"
    assert campus.about(pupil) == []


@pytest.mark.parametrize("content", [b"\xff=\xfe", b"reason=%FF%FE&amount=%80", b"a" * 60_000])
def test_what_is_no_form_is_no_bug(campus: Campus, pupil: str, content: bytes):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = campus.viewer.get(path_of(pupil), TESS, method="POST", content=content, headers=kind)
    assert answer.status_code == 400
    assert campus.about(pupil) == []


# --- what is away ---------------------------------------------------------------------------------


def test_a_hub_that_is_away_writes_nothing(campus: Campus, pupil: str):
    campus.hub.down = True
    assert send(campus, pupil, TESS).status_code == 503
    campus.hub.down = False
    assert campus.about(pupil) == []


def test_without_a_ledger_there_is_no_such_page():
    with running_viewer({"UsageQuotaManager": {"policy": []}}) as viewer:
        viewer.hub.add_user("admin", admin=True)
        for path in ("admin", "admin/users/admin"):
            assert viewer.get(path, ADMIN).status_code == 404
        assert "Give more" not in viewer.get("", ADMIN).text


def test_a_ledger_that_is_away_is_said_and_what_was_typed_stays(tmp_path):
    with running_campus(tmp_path) as campus:
        following(campus, send(campus, "ann", ADMIN), ADMIN)
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
            connection.execute(f"ALTER TABLE {ENTRIES.name} RENAME TO gone")
        answer = send(campus, "ann", ADMIN, key="k", amount="3")
        assert answer.status_code == 503
        found = BeautifulSoup(answer.text, "html.parser")
        assert "Send it again: it is carried out once." in said(found, "#usage-quota-problem")
        assert "cannot be read" in said(found, "#usage-quota-decided")
        assert one(found, ".usage-quota-give [name=key]")["value"] == "k"
        assert one(found, "#usage-quota-amount")["value"] == "3"
        # What was read before goes on counting.
        assert said(found, '[data-policy="week"] .usage-quota-remaining') == "10h"
        assert "sqlite" not in answer.text


# --- languages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["pseudo", "de"])
def test_every_text_is_in_the_language_of_the_page(tmp_path, language):
    write_pseudo_catalogue(tmp_path)
    spoken = {"language": NAME, "language_folder": str(tmp_path)}
    if language == "de":
        spoken = {"language": "de"}
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    make_tables(url)
    sections = {"UsageConfig": {"ledger_url": url, **spoken}, "UsageQuotaManager": RULES}
    with running_viewer(sections) as viewer:
        viewer.hub.add_user("admin", admin=True)
        viewer.hub.add_user("ann", "a")
        typed = TYPED | {"reason": "p1", "policy": "memory"}

        def sent(**more: str) -> httpx.Response:
            return viewer.get(path_of("ann"), ADMIN, method="POST", data=typed | more)

        pages = [viewer.get("admin", ADMIN), viewer.get("admin?search=nobody", ADMIN)]
        pages.append(viewer.get(path_of("ann"), ADMIN))
        pages.append(sent(policy="", amount="", until="x"))
        given = sent(reason="p11", key="k")
        pages.append(viewer.get("users/ann", ADMIN))
        pages.append(viewer.get(given.headers["Location"].removeprefix(PREFIX), ADMIN))
        pages.append(sent(reason="p12", key="k"))
        pages.append(sent(void="1", why=""))
        undone = sent(void="1", why="p13")
        pages.append(viewer.get(undone.headers["Location"].removeprefix(PREFIX), ADMIN))
        pages.append(sent(void="1", why="p14"))
        pages.append(viewer.get(path_of("ann"), method="POST", data=TYPED))
        pages.append(viewer.get("", ADMIN))
        pages.append(viewer.get("users/ann/given", ADMIN))
        pages.append(viewer.get("users/admin/given", ADMIN))
        pages += about_several(viewer)
    statuses = [200, 200, 200, 400, 200, 200, 409, 400, 200, 409, 401, 200, 200, 200]
    statuses += [200, 200, 200, 200, 400, 200, 400, 200]
    assert [one.status_code for one in pages] == statuses
    data = ["admin", "ann", "memory", "week", "cpu per 7 days for everyone", "UTC", "GiB-", "CPU-"]
    data += ["p11", "p12", "p13", "p14", "p15", "p16", "p1", " h", "JupyterHub"]
    for answer in pages:
        if language == "pseudo":
            assert faults(answer.text, ("title", "main"), data) == [], answer.request.url
        else:
            assert "Give more" not in answer.text
    if language == "de":
        assert "2 GiB-Stunden mehr" in pages[5].text


def about_several(viewer: Viewer) -> list[httpx.Response]:
    """The pages on which several are given more, and it is taken back."""
    pages = [viewer.get("admin?group=a", ADMIN)]
    pages.append(viewer.get("admin/give", ADMIN))
    pages.append(viewer.get("admin/give?group=a", ADMIN))
    pages.append(viewer.get("admin/give?users=ann&users=admin", ADMIN))

    def several(**more: Any) -> httpx.Response:
        data = TYPED | {"policy": "memory", "users": ["ann", "admin"], "reason": "p15"} | more
        return viewer.get("admin/give", ADMIN, method="POST", data=data)

    pages.append(several(amount=""))
    given = several()
    pages.append(viewer.get(given.headers["Location"].removeprefix(PREFIX), ADMIN))
    numbers = parse_qs(urlsplit(given.headers["Location"]).query)["made"][0]
    pages.append(several(void=numbers, why=""))
    undone = several(void=numbers, why="p16")
    pages.append(viewer.get(undone.headers["Location"].removeprefix(PREFIX), ADMIN))
    return pages
