"""The page of budgets: an admin sets another one for everyone, for this week or the next alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from bs4 import BeautifulSoup
from bs4.element import Tag

from jupyterhub_usage_quotas import Override
from jupyterhub_usage_quotas.conventions import SCOPE_READ
from tests.support.campus import ADMIN, HOUR, RULES, TINA, Campus, running_campus
from tests.support.viewer import ACCESS, PREFIX

ALL = "all"
PATH = "admin/budgets"
WEEK = timedelta(days=7)
TYPED = {"policy": "gpu-user-week", "period": "this", "amount": "30", "reason": "a deadline"}
NAMES = ["cpu-admin-week", "cpu-user-week", "gpu-admin-week", "gpu-user-week"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    folder = tmp_path_factory.mktemp("campus")
    pooled = {
        "name": "pooled",
        "resource": "time",
        "limit": "9 hours",
        "window": {"calendar": "week"},
        "share": "pooled",
        "scope": {"group": ["a"]},
    }
    rules = RULES | {"policy": [*RULES["policy"], pooled], "weekly_budgets": True}
    with running_campus(folder, rules) as campus:
        campus.hub.add_token("token-of-all-read", "all-read", ACCESS, SCOPE_READ)
        yield campus


@pytest.fixture
def campus(running: Campus) -> Iterator[Campus]:
    """With nothing decided."""
    yield running
    for one in running.written():
        if one.voided is None and one.until > datetime.now(UTC):
            void = {"void": str(one.id), "why": "the test is over"}
            answer = running.viewer.get(PATH, ADMIN, method="POST", data=void)
            assert answer.status_code == 303, answer.text


def mondays() -> tuple[datetime, datetime]:
    """The next two, by hand."""
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today + timedelta(days=7 - today.weekday())
    return monday, monday + WEEK


def send(campus: Campus, token: str = ADMIN, **more: Any) -> httpx.Response:
    return campus.viewer.get(PATH, token, method="POST", data=TYPED | more)


def keys(found: BeautifulSoup) -> set[str]:
    fields = section(found, TYPED["policy"]).select("form.usage-quota-give [name=key]")
    return {str(one["value"]) for one in fields}


def page(answer: httpx.Response, status: int = 200) -> BeautifulSoup:
    assert answer.status_code == status, answer.text
    return BeautifulSoup(answer.text, "html.parser")


def shown(campus: Campus) -> BeautifulSoup:
    return page(campus.viewer.get(PATH, ADMIN))


def after(campus: Campus, answer: httpx.Response) -> BeautifulSoup:
    """The page that a browser is sent to after a form."""
    assert answer.status_code == 303, answer.text
    return page(campus.viewer.get(answer.headers["Location"].removeprefix(PREFIX), ADMIN))


def section(found: BeautifulSoup, policy: str) -> Tag:
    (one,) = found.select(f'section[data-policy="{policy}"]')
    return one


def amounts(found: BeautifulSoup, policy: str = "gpu-user-week") -> list[str]:
    periods = section(found, policy).select("[data-period] dd")
    return [" ".join(one.get_text().split()) for one in periods]


def allowances(campus: Campus, user: str) -> dict[str, float]:
    """What the API says that a user may use, in hours."""
    verdicts = campus.read(f"users/{user}", ADMIN).json()["verdicts"]
    return {one["policy"]: one["allowance"] for one in verdicts}


def test_each_named_policy_of_a_calendar_has_a_budget_for_this_week_and_the_next(campus: Campus):
    found = shown(campus)
    assert sorted(str(one["data-policy"]) for one in found.select("section")) == NAMES
    for name in NAMES:
        assert amounts(found, name) == ["20h", "20h"]
    (link,) = page(campus.viewer.get("admin", ADMIN)).select(f'a[href="{PREFIX}{PATH}"]')
    assert link.get_text() == "Budgets"


@pytest.mark.parametrize(
    ("period", "said"),
    [
        ("this", ["30h (usually 20h)", "20h"]),
        ("next", ["20h", "30h (usually 20h)"]),
    ],
)
def test_another_budget_is_for_that_week_only(campus: Campus, period: str, said: list[str]):
    before, (monday, then) = datetime.now(UTC), mondays()
    found = after(campus, send(campus, period=period))
    written = campus.written()[0]
    assert isinstance(written, Override)
    assert (written.user, written.policy, written.limit) == (None, "gpu-user-week", 30 * HOUR)
    assert (written.actor, written.reason) == ("admin", "a deadline")
    if period == "this":
        assert before - timedelta(minutes=1) <= written.start <= datetime.now(UTC)
        assert written.until == monday
    else:
        assert (written.start, written.until) == (monday, then)
    assert amounts(found) == said
    assert amounts(found, "cpu-user-week") == ["20h", "20h"]
    done = found.select_one("#usage-quota-done")
    assert done is not None
    assert "For everyone: 30h instead" in " ".join(done.get_text().split())
    now = allowances(campus, "ann")
    assert now["gpu-user-week"] == (30 if period == "this" else 20)
    assert now["cpu-user-week"] == 20


def test_a_table_has_them_by_tier_and_role_for_both_weeks(campus: Campus):
    send(campus, amount="30", period="next")
    found = shown(campus)
    rows = [
        [" ".join(cell.get_text().split()) for cell in row.select("th, td")]
        for row in found.select(".usage-quota-tiers tr")
    ]
    # A tier stands before all of its roles.
    assert rows == [
        ["Tier", "Role", "This week", "Next week"],
        ["gpu", "admin", "20h", "20h"],
        ["user", "20h", "30h (usually 20h)"],
        ["cpu", "admin", "20h", "20h"],
        ["user", "20h", "20h"],
    ]
    (link,) = found.select('[data-policy="gpu-user-week"] [data-period="next"] a')
    path, _, place = str(link["href"]).removeprefix(PREFIX).partition("#")
    opened = page(campus.viewer.get(path, ADMIN))
    (part,) = opened.select("section:has(details[open])")
    assert part["data-policy"] == "gpu-user-week"
    assert part.select_one("h2")["id"] == place  # type: ignore[index]
    (checked,) = part.select("[name=period][checked]")
    assert checked["value"] == "next"
    assert campus.viewer.get(f"{PATH}?period=last", ADMIN).status_code == 400
    assert page(campus.viewer.get(f"{PATH}?policy=<b>", ADMIN)).select("details[open]") == []


def test_of_two_the_later_is_in_force_and_taken_back_the_one_before(campus: Campus):
    send(campus, amount="30")
    found = after(campus, send(campus, amount="0.5"))
    assert amounts(found)[0] == "30m (usually 20h)"
    newest = campus.written()[0]
    # As the form has it: each has a number and a key of its own.
    first, second = section(found, "gpu-user-week").select("form.usage-quota-undo")
    hidden = {str(one["name"]): str(one["value"]) for one in first.select("[type=hidden]")}
    assert hidden["void"] == str(newest.id)
    assert hidden["key"] != second.select_one("[name=key]")["value"]  # type: ignore[index]
    answer = campus.viewer.get(PATH, ADMIN, method="POST", data=hidden | {"why": "a slip"})
    found = after(campus, answer)
    assert amounts(found)[0] == "30h (usually 20h)"
    assert "Taken back for everyone" in found.select_one("#usage-quota-done").get_text()  # type: ignore[union-attr]
    assert campus.written()[0].voided.reason == "a slip"  # type: ignore[union-attr]


def test_a_form_that_is_sent_twice_writes_once(campus: Campus):
    (key,) = {
        str(one["value"]) for one in section(shown(campus), TYPED["policy"]).select("[name=key]")
    }
    before = len(campus.written())
    first, second = send(campus, key=key), send(campus, key=key)
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(campus.written()) == before + 1
    found = page(send(campus, key=key, amount="31"), 409)
    assert "was sent before" in found.select_one("#usage-quota-problem").get_text()  # type: ignore[union-attr]
    (another,) = {
        str(one["value"])
        for one in section(found, TYPED["policy"]).select("form.usage-quota-give [name=key]")
    }
    assert another != key


HOSTILE = "</textarea><script>alert(1)</script>"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        *(({"amount": text}, "amount") for text in ("", "many", "-1", "nan", "٣", HOSTILE)),
        *(({"reason": text}, "reason") for text in ("", "  a  ", "x" * 1001)),
        *(({"period": text}, "period") for text in ("", "last", HOSTILE)),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_what_was_typed_is_kept(
    campus: Campus, more: dict[str, str], field: str
):
    before = campus.written()
    found = page(send(campus, **more), 400)
    part = section(found, TYPED["policy"])
    (wrong,) = part.select('[aria-invalid="true"]')
    fault = part.find(id=str(wrong["aria-describedby"]))
    assert isinstance(fault, Tag)
    assert fault.get_text()
    assert field in str(wrong["aria-describedby"])
    typed = TYPED | more
    assert part.select_one("[name=amount]")["value"] == typed["amount"]  # type: ignore[index]
    assert part.select_one("textarea").get_text().strip() == typed["reason"].strip()  # type: ignore[union-attr]
    assert part.select_one("details")["open"] == ""  # type: ignore[index]
    assert "<script>alert" not in str(found)
    assert campus.written() == before


@pytest.mark.parametrize(
    "policy", ["", "week", "pooled", "nothing", "<b>", "cpu per 7 days for everyone"]
)
def test_only_budgets_can_be_set(campus: Campus, policy: str):
    before = campus.written()
    found = page(send(campus, policy=policy), 400)
    assert "There is no such budget." in found.get_text()
    assert campus.written() == before


@pytest.mark.parametrize("token", [TINA, "token-of-ann", "token-of-all-read", "one"])
def test_there_is_no_such_page_for_others_than_admins(campus: Campus, token: str):
    given = campus.give(ADMIN, "ann").json()["items"][0]["id"]
    send(campus)
    ours = campus.written()[0].id
    before = campus.written()
    assert campus.viewer.get(PATH, token).status_code == 404
    for typed in (TYPED, {"void": str(ours), "why": "not mine"}):
        assert campus.viewer.get(PATH, token, method="POST", data=typed).status_code == 404
    assert campus.written() == before
    # And what was decided about one user is not taken back here.
    void = {"void": str(given), "why": "elsewhere"}
    assert campus.viewer.get(PATH, ADMIN, method="POST", data=void).status_code == 404
    assert PATH not in campus.viewer.get("admin", token).text
    campus.post(f"adjustments/{given}/void", ADMIN, {"reason": "the test is over"})


def test_who_is_not_logged_in_is_sent_to_log_in_but_not_with_a_form(campus: Campus):
    answer = campus.viewer.get(PATH)
    assert answer.status_code == 302
    assert "oauth2/authorize" in answer.headers["Location"]
    assert campus.viewer.get(PATH, method="POST", data=TYPED).status_code == 401


@pytest.mark.parametrize("number", ["0", "999999", "x", "1" * 40, "-1"])
def test_what_is_not_there_cannot_be_taken_back(campus: Campus, number: str):
    void = {"void": number, "why": "a slip"}
    assert campus.viewer.get(PATH, ADMIN, method="POST", data=void).status_code == 404


def test_scopes_alone_are_not_enough_unless_they_are_over_everybody(campus: Campus):
    """Who may give to everyone by a scope decides about everyone, as in the API."""
    answer = campus.viewer.get(PATH, ALL)
    more = {"kind": "override", "users": None, "everyone": True}
    api = campus.give(ALL, **more)
    assert (answer.status_code == 200) is (api.status_code == 201)
    if api.status_code == 201:
        number = api.json()["items"][0]["id"]
        campus.post(f"adjustments/{number}/void", ADMIN, {"reason": "the test is over"})
