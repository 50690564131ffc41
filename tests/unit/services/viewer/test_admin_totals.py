"""The admin page by tier of the weekly budgets, its totals, and its users for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from bs4 import BeautifulSoup

from jupyterhub_usage_quotas.conventions import SCOPE_GRANT, SCOPE_READ
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Unknown, Usage
from jupyterhub_usage_quotas.services.viewer.pages.admin import totals
from tests.support.campus import ADMIN, HOUR, POLICIES, TINA, Campus, running_campus
from tests.support.viewer import PREFIX, token_of

TESS = "token-of-tess"
SMALL, GPU = ServerAttributes(profile="small"), ServerAttributes(profile="large-gpu", gpu=True)
HOSTILE = ["=1+1", "@SUM(A1)", "\uff1dcmd", "  +1", 'a";b,c', "<b>&", "\u202egnp"]
STARTED = (datetime.now(UTC) - timedelta(days=3)).strftime("%A").lower()
"""The day on which weeks start: never within these tests."""
RULES = {
    "policy": [one for one in POLICIES if one.get("name") in ("week", "memory")],
    "weekly_budgets": {
        "tiers": [{"tier": "gpu", "profile": ["*gpu*"]}, {"tier": "big", "profile": ["*large*"]}],
        "budgets": {"user": {"gpu": "4 hours", "cpu": "30 hours"}},
        "starts": STARTED,
    },
    "may_grant": {"tutors-of-a": ["a"]},
}


def hours(*used: tuple[float, ServerAttributes]) -> Fresh:
    """Usage of the last minutes: whole hours of it at once."""
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    start = end - timedelta(minutes=5)
    spans = start.timestamp(), end.timestamp()
    return Fresh(Usage(tuple(Bucket(*spans, n * HOUR, at) for n, at in used), end))


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    with running_campus(tmp_path_factory.mktemp("campus"), RULES) as campus:
        campus.teacher("tess", f"{SCOPE_GRANT}!group=a", f"{SCOPE_READ}!group=a")
        for name in HOSTILE:
            campus.add(name, "a", "=HYPERLINK(1)")
        readings = campus.viewer.meter.readings
        readings["ann"] = {"time": hours((2, GPU), (1, SMALL))}
        readings["amy"] = {"time": hours((5, SMALL))}
        readings["ben"] = {"time": hours((3.5, GPU))}
        readings["abe"] = {"time": Unknown("unreachable", "nobody answers")}
        yield campus


def page(campus: Campus, query: str, token: str = ADMIN) -> BeautifulSoup:
    answer = campus.viewer.get(f"admin?{query}", token)
    assert answer.status_code == 200, answer.text
    return BeautifulSoup(answer.text, "html.parser")


def names(found: BeautifulSoup) -> list[str]:
    return [str(row["data-user"]) for row in found.select("tbody[data-user]")]


def total(found: BeautifulSoup, policy: str) -> list[str]:
    (row,) = found.select(f'.usage-quota-totals [data-policy="{policy}"]')
    return [" ".join(cell.get_text().split()) for cell in row.select("td")]


def lines(campus: Campus, query: str = "", token: str = ADMIN) -> list[dict[str, str]]:
    answer = campus.viewer.get(f"admin?format=csv&{query}", token)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=UTF-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="usage-quotas.csv"'
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


# --- tiers ----------------------------------------------------------------------------------------


def test_a_tier_has_those_who_used_something_of_it_as_far_as_is_known(campus: Campus):
    assert names(page(campus, "tier=gpu")) == ["abe", "ann", "ben"]
    assert names(page(campus, "tier=cpu")) == ["abe", "amy", "ann"]
    assert names(page(campus, "tier=gpu&sort=-used")) == ["ben", "ann", "abe"]
    assert names(page(campus, "tier=gpu&group=b")) == ["ben"]
    for tier in ("big", "none", "user", "gpu-user-week", "<b>", "=1"):
        found = page(campus, f"tier={tier}")
        assert names(found) == (["abe"] if tier == "big" else []), tier


def test_the_form_has_the_tiers_in_their_order_and_keeps_the_chosen_one(campus: Campus):
    found = page(campus, "tier=cpu&limit=1")
    options = found.select("#usage-quota-tier option")
    assert [option["value"] for option in options] == ["", "gpu", "big", "cpu"]
    assert [option["value"] for option in options if option.has_attr("selected")] == ["cpu"]
    assert "tier=cpu" in found.select_one('a[rel="next"]')["href"]


def test_the_api_has_the_same(campus: Campus):
    found = campus.viewer.get("api/v1/users?tier=gpu&sort=-used", ADMIN).json()
    assert [one["user"] for one in found["items"]] == ["ben", "ann", "abe"]


def test_a_tier_says_nothing_of_those_whom_the_visitor_does_not_see(campus: Campus):
    assert names(page(campus, "tier=gpu", TINA)) == []
    assert names(page(campus, "tier=gpu", TESS)) == ["abe", "ann"]


def test_those_who_used_nothing_can_be_left_out(campus: Campus):
    assert names(page(campus, "usage=some")) == ["abe", "amy", "ann", "ben"]
    assert names(page(campus, "usage=some&tier=gpu&group=a")) == ["abe", "ann"]
    assert names(page(campus, "usage=some", TINA)) == []
    found = page(campus, "usage=some&limit=1")
    assert found.select_one("#usage-quota-usage").has_attr("checked")
    assert "usage=some" in found.select_one('a[rel="next"]')["href"]
    assert campus.viewer.get("admin?usage=much", ADMIN).status_code == 400


# --- how long -------------------------------------------------------------------------------------


def week_ends() -> datetime:
    """When the week is over that began three days ago."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=4)


@pytest.mark.parametrize("policy", ["gpu-user-week", "week"])
def test_what_is_given_is_usually_for_this_week_of_the_calendar_alone(campus: Campus, policy: str):
    pupil = f"of-{policy}"
    campus.add(pupil, "b")
    path = f"admin/users/{pupil}"
    found = BeautifulSoup(campus.viewer.get(path, ADMIN).text, "html.parser")
    (chosen,) = found.select("#usage-quota-lasts option[selected]")
    assert "begins anew, or for 7 days" in chosen.get_text()
    typed = {"policy": policy, "amount": "2", "lasts": str(chosen["value"]), "reason": "ill"}
    before = datetime.now(UTC)
    assert campus.viewer.get(path, ADMIN, method="POST", data=typed).status_code == 303
    (written,) = campus.about(pupil)
    if policy == "gpu-user-week":
        assert written.until == week_ends()
    else:
        assert abs(written.until - before - timedelta(days=7)) < timedelta(minutes=2)


def test_used_beyond_the_allowance_is_said_since_less_than_that_helps_nobody(campus: Campus):
    pupil = "over"
    campus.add(pupil, "b")
    campus.viewer.meter.readings[pupil] = {"time": hours((7, GPU))}
    path = f"admin/users/{pupil}"
    typed = {"policy": "gpu-user-week", "amount": "2", "lasts": "7d", "reason": "ill"}
    for over in ("1h more than the allowance", ""):
        answer = campus.viewer.get(path, ADMIN, method="POST", data=typed)
        location = answer.headers["Location"].removeprefix(PREFIX)
        text = " ".join(
            BeautifulSoup(campus.viewer.get(location, ADMIN).text, "html.parser").get_text().split()
        )
        assert (over in text) if over else ("more than the allowance" not in text)
    del campus.viewer.meter.readings[pupil]


# --- totals ---------------------------------------------------------------------------------------


def test_what_everybody_used_is_added_up(campus: Campus):
    found = page(campus, "group=a&limit=1")
    # ann and amy used eight hours; of abe nothing is known, all others used nothing.
    members = 5 + len(HOSTILE)
    assert total(found, "week")[:2] == ["8h", f"{8 * (members - 1) - 8}h"]
    assert total(found, "week")[2] == f"{members - 1} of {members}"
    assert total(found, "gpu-user-week")[0] == "2h"
    assert total(page(campus, "search=ben"), "gpu-user-week") == [
        "3h 30m", "30m", "1", "Server time, this week",
    ]  # fmt: skip


def test_of_those_whom_the_visitor_does_not_see_there_are_no_totals(campus: Campus):
    assert page(campus, "", TINA).select(".usage-quota-totals") == []
    assert total(page(campus, "", TESS), "gpu-user-week")[0] == "2h"
    assert page(campus, "search=nobody").select(".usage-quota-totals") == []


# --- a spreadsheet --------------------------------------------------------------------------------


def test_the_spreadsheet_has_each_quota_of_everybody_chosen(campus: Campus):
    found = lines(campus, "search=ann&limit=1")
    by_policy = {one["policy"]: one for one in found}
    assert list(by_policy) == ["week", "memory", "gpu-user-week", "big-user-week", "cpu-user-week"]
    gpu = by_policy["gpu-user-week"]
    assert (gpu["user"], gpu["groups"], gpu["resource"]) == ("ann", "a", "time")
    assert (float(gpu["used"]), float(gpu["allowance"]), float(gpu["remaining"])) == (2, 4, 2)
    assert (gpu["unit"], gpu["state"]) == ("hours", "low")
    assert datetime.fromisoformat(gpu["usage known until"]) <= datetime.now(UTC)
    # All pages of the table.
    assert len({one["user"] for one in lines(campus, "limit=1")}) > 5


def test_what_is_not_known_is_empty_and_not_zero(campus: Campus):
    (week,) = [one for one in lines(campus, "search=abe") if one["policy"] == "week"]
    assert (week["used"], week["remaining"], week["state"]) == ("", "", "unknown")
    assert float(week["allowance"]) == 8


def test_no_name_or_group_is_a_formula(campus: Campus):
    found = {one["user"] for one in lines(campus, "group=%3DHYPERLINK(1)")}
    assert found == {"'=1+1", "'@SUM(A1)", "'\uff1dcmd", "'  +1", 'a";b,c', "<b>&", "\u202egnp"}
    cells = [cell for one in lines(campus) for cell in one.values()]
    assert not [one for one in cells if one[:1] in tuple("=+-@\t\r\n")]
    assert "'=HYPERLINK(1), a" in cells


def test_the_spreadsheet_has_only_what_the_visitor_sees(campus: Campus):
    assert {one["user"] for one in lines(campus, "", TESS)}.isdisjoint({"ben", "bea", "admin"})
    unseen = lines(campus, "", TINA)
    assert {one["policy"] + one["used"] + one["allowance"] for one in unseen} == {""}
    assert campus.viewer.get("admin?format=csv", token_of("ann")).status_code == 404
    assert campus.viewer.get("admin?format=xls", ADMIN).status_code == 400


def test_too_many_lines_are_refused_with_what_helps(campus: Campus, monkeypatch):
    monkeypatch.setattr(totals, "MOST_LINES", 3)
    answer = campus.viewer.get("admin?format=csv", ADMIN)
    assert answer.status_code == 400
    assert "expected at most 3: choose fewer users" in answer.text
    monkeypatch.setattr(totals, "MOST_LINES", 5)
    assert len(lines(campus, "search=bea")) == 5


# --- another language -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    sections = {"UsageConfig": {"language": "de"}}
    with running_campus(tmp_path_factory.mktemp("german"), RULES, sections) as campus:
        yield campus


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=0", "limit: '0'; erwartet wird eine ganze Zahl von 1 bis 200"),
        (f"search={'x' * 301}", "search: 301 Zeichen; erwartet werden höchstens 300"),
        ("sort=age", "sort: 'age'; erwartet wird eines von: name, -name, used"),
        ("format=xls", "format: 'xls'; erwartet wird eines von: html, csv"),
        ("state=%7Bx%7D", "state: '{x}'; erwartet wird eines von: , exhausted, low"),
    ],
)
def test_what_is_wrong_with_an_address_is_said_in_the_language_of_the_page(german, query, said):
    answer = german.viewer.get(f"admin?{query}", ADMIN)
    assert answer.status_code == 400
    found = BeautifulSoup(answer.text, "html.parser").select_one(".usage-quota-error p")
    assert found.get_text().startswith(said)
    assert not found.has_attr("lang")


def test_a_refusal_is_said_in_it_too(german: Campus):
    german.teacher("tess", f"{SCOPE_GRANT}!group=a", f"{SCOPE_READ}!group=a")
    given = german.give(ADMIN, "ann").json()["items"][0]["id"]
    form = {"void": str(given), "why": "by mistake", "key": "k"}
    answer = german.viewer.get("admin/users/ann", TESS, method="POST", data=form)
    assert answer.status_code == 403
    assert "nur Admins nehmen zurück, was andere entschieden haben" in answer.text
    main = BeautifulSoup(answer.text, "html.parser").select_one("main")
    assert main.select('[lang="en"]') == []


def test_the_totals_are_in_it(german: Campus):
    found = page(german, "")
    assert found.select_one(".usage-quota-totals summary").get_text() == "Summen"
    assert found.select_one('label[for="usage-quota-tier"]').get_text() == "Stufe"
