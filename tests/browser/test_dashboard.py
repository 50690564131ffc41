"""The Usage Quota Dashboard as people use it: real Hubs, a real Prometheus, a real browser."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect

from tests.support.cluster import GIB
from tests.support.forked import run_command
from tests.support.hub import Hub
from tests.support.visitor import PATIENCE, Visitor, text_of

from .campus import (
    BASE,
    EVERYBODY,
    GIB_HOURS,
    HOSTILE,
    HOSTILE_PROFILE,
    SERVICE,
    Seats,
    hub_of,
    prometheus_of,
    seats_exporter,
)
from .conftest import patient_context, picture
from .looks import DESK, PHONE, everywhere, faults, no_horizontal_scroll, too_wide

ZURICH = ZoneInfo("Europe/Zurich")
COUNT_ASKED = """
    let times = 0;
    document.addEventListener("usage-quota:asked", () => { times += 1 });
    window.asked = (wanted) => new Promise((resolve, reject) => {
        const look = () => times >= wanted && resolve(times);
        document.addEventListener("usage-quota:asked", look);
        // Of the real clock.
        AbortSignal.timeout(60_000).onabort = () => reject(new Error(`asked ${times} times`));
        look();
    });
"""
"""For waiting until a page has asked so often what is new, and is done with the answer."""
COME_BACK = """() => {
    const asked = new Promise(resolve =>
        document.addEventListener("usage-quota:asked", () => resolve(), {once: true}));
    const now = Date.now;
    Date.now = () => now() + 20000;
    document.dispatchEvent(new Event("visibilitychange"));
    Date.now = now;
    return asked;
}"""
"""As when somebody comes back to a tab after twenty seconds; waits until the page is up to date."""


@dataclass
class Campus:
    """What all of these tests use; `logins` are kept sessions, by username."""

    hub: Hub
    browser: Browser
    seats: Seats
    prometheus: str
    logins: dict[str, dict] = field(default_factory=dict)
    watched: Page | None = None


@pytest.fixture(scope="module")
def seats() -> Iterator[Seats]:
    with seats_exporter() as exporter:
        yield exporter


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, seats: Seats) -> Iterator[str]:
    now = int(time.time()) // 60 * 60
    with prometheus_of(tmp_path_factory.mktemp("prometheus"), seats, now) as url:
        yield url


@pytest.fixture(scope="module")
def campus(browser: Browser, prometheus: str, seats: Seats, tmp_path_factory) -> Iterator[Campus]:
    with hub_of(tmp_path_factory.mktemp("hub6"), "6", prometheus) as hub:
        admin = Visitor(hub.url, "admin", base=BASE)
        made = admin.api("POST", "/users", json={"usernames": EVERYBODY})
        assert made.is_success, made.text
        campus = Campus(hub, browser, seats, prometheus)
        with visiting(campus, "newcomer") as page:
            # The history is read the newest first, and what is read meanwhile changes pages.
            days = page.locator("figure tbody").first
            Visitor.wait_until(lambda: page.reload() and "not known" not in days.text_content())
        with visiting(campus, "live") as page:
            watch(campus, page)
            yield campus


def log_in(campus: Campus, name: str) -> None:
    """Log in by the Hub's own form, and keep the session for browsers."""
    visitor = Visitor(campus.hub.url, name, base=BASE)
    page = visitor.http.get(f"{SERVICE}/")
    assert "Your usage" in text_of(page)
    campus.logins[name] = {
        "cookies": [
            {"name": one.name, "value": one.value, "domain": "127.0.0.1", "path": one.path}
            for one in visitor.http.cookies.jar
        ]
    }


def new_context(campus: Campus, name: str = "", **options) -> BrowserContext:
    given = {"viewport": DESK, "timezone_id": "Europe/Zurich", "locale": "en-GB"}
    # Colours that fade from one theme into the other would be looked at on the way.
    given |= {"reduced_motion": "reduce"} | options
    if name:
        if name not in campus.logins:
            log_in(campus, name)
        given["storage_state"] = campus.logins[name]
    return patient_context(campus.browser, **given)


@contextmanager
def visiting(campus: Campus, name: str, path: str = "/", **options) -> Iterator[Page]:
    """A page of the dashboard, opened by somebody who has logged in.

    At the end: nothing was asked of another host, and no policy of the page was broken.
    """
    context = new_context(campus, name, **options)
    page = context.new_page()
    hosts: set[str] = set()
    complaints: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if "Content Security" in said.text else None,
    )
    page.goto(f"{campus.hub.url}{SERVICE}{path}", wait_until="load")
    yield page
    assert hosts - {""} == {urlsplit(campus.hub.url).netloc}
    assert complaints == []
    context.close()


def check(campus: Campus, name: str, *groups: str, members: tuple[str, ...] = ()) -> dict:
    """What `check --json` says."""
    config = campus.hub.program.log.parent / "jupyterhub_config.py"
    arguments = ["--json", "--config", str(config), "--user", name]
    arguments += [part for group in groups for part in ("--group", group)]
    arguments += [part for member in members for part in ("--member", member)]
    done = run_command("check", *arguments)
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stdout)


def cards_of(page: Page):
    return page.locator(".usage-quota-card")


def amount(text: str) -> tuple[float, str]:
    """A shown amount as a number and its unit."""
    number, _, unit = text.strip().partition(" ")
    return float(number.replace(",", "")), unit


# --- what it says -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "groups", "members"),
    [
        ("over<b>&", ("students",), ()),
        ("two", (), ()),
        ("mate", ("team",), ("newcomer",)),
    ],
)
def test_the_page_says_what_check_says(campus: Campus, name, groups, members):
    expected = check(campus, name, *groups, members=members)["verdicts"]
    assert expected
    with visiting(campus, name) as page:
        expect(cards_of(page)).to_have_count(len(expected))
        for card, verdict in zip(cards_of(page).all(), expected, strict=True):
            assert card.get_attribute("data-policy") == verdict["policy"]
            for key in ("used", "remaining", "allowance"):
                shown, unit = amount(card.locator(f".usage-quota-{key}").inner_text())
                assert unit == verdict["unit"]
                assert shown == pytest.approx(max(verdict[key], 0), abs=0.006)
            share = 100 * verdict["used"] / verdict["allowance"]
            meter = card.get_by_role("meter")
            assert float(meter.get_attribute("aria-valuenow")) == pytest.approx(
                min(share, 100), abs=0.51
            )
            label = "Used up" if not verdict["fits"] else "Nearly used up" if share >= 80 else "OK"
            expect(card.locator(".usage-quota-severity")).to_contain_text(label)
            if verdict["retry_time"]:
                retry = card.locator(".usage-quota-exhausted time")
                assert retry.get_attribute("datetime") == verdict["retry_time"]


def test_logging_in_leads_to_ones_own_page(campus: Campus):
    context = new_context(campus)
    page = context.new_page()
    page.goto(f"{campus.hub.url}{SERVICE}/")
    page.get_by_label("Username").fill("near")
    page.get_by_label("Password").fill("anything")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your usage")
    expect(page.locator("#usage-quota-live")).to_have_attribute("data-user", "near")
    # Nothing is left to be told: days are those of this browser at once.
    expect(page.locator("#usage-quota-live")).to_have_attribute("data-zone", "Europe/Zurich")
    context.close()


def test_times_are_those_of_the_browser_and_say_so(campus: Campus):
    with visiting(campus, "over") as page:
        shown = page.locator(".usage-quota-exhausted time").first
        expect(shown).to_have_attribute("title", re.compile("UTC$"))
        local = datetime.fromisoformat(shown.get_attribute("datetime")).astimezone(ZURICH)
        text = shown.inner_text()
        assert f"{local:%A}" in text
        assert f"{local:%H:%M}" in text
        assert re.search("CET|GMT", text)
        expect(page.locator(".usage-quota-sessions")).to_contain_text("Europe/Zurich")
        expect(page.locator("figcaption").first).to_contain_text("Europe/Zurich")


def test_the_plot_adds_up_to_what_is_used_and_has_the_limit(campus: Campus):
    with visiting(campus, "near") as page:
        figure = page.get_by_role("figure", name="Memory by day and server")
        expect(figure.locator(".usage-quota-limit")).to_be_visible()
        figure.get_by_text("As a table").click()
        rows = figure.locator("tbody tr")
        assert 8 <= rows.count() <= 9  # seven days, of which the first and last are parts
        totals = [amount(row.locator("td").nth(2).inner_text())[0] for row in rows.all()]
        assert sum(totals) == pytest.approx(GIB_HOURS["near"], abs=0.1)
        assert amount(rows.first.locator("td").last.inner_text())[0] == pytest.approx(
            GIB_HOURS["near"], abs=0.1
        )
        by_server = [
            sum(amount(row.locator("td").nth(index).inner_text())[0] for row in rows.all())
            for index in (0, 1)
        ]
        assert by_server == pytest.approx([64.5, 21.5], abs=0.1)
        expect(figure.locator("thead")).to_contain_text("default server (Large)")


def test_the_plot_is_read_with_the_keyboard_and_with_a_mouse(campus: Campus):
    with visiting(campus, "near") as page:
        bars = page.locator(".usage-quota-bar")
        last = bars.count() - 1
        page.locator("summary", has_text="Usage over time").focus()
        page.keyboard.press("Tab")
        expect(bars.nth(last)).to_be_focused()
        said = []
        for key, place in (("ArrowLeft", last - 1), ("Home", 0), ("ArrowLeft", 0), ("End", last)):
            page.keyboard.press(key)
            expect(bars.nth(place)).to_be_focused()
            said.append(bars.nth(place).get_attribute("aria-label"))
            expect(page.locator(".usage-quota-readout")).to_have_text(said[-1])
        assert "of 100 GiB-hours by then" in said[0]
        # One stop for the Tab key, however many bars there are.
        page.keyboard.press("Tab")
        expect(page.locator("summary", has_text="As a table")).to_be_focused()
        bars.nth(2).hover()
        expect(page.locator(".usage-quota-readout")).to_have_text(
            bars.nth(2).get_attribute("aria-label")
        )


def test_sessions_and_their_csv(campus: Campus):
    with visiting(campus, "over") as page:
        table = page.locator(".usage-quota-sessions table")
        expect(table.locator("tbody tr")).to_have_count(6)
        first = table.locator("tbody tr").first
        expect(first).to_contain_text("analysis")
        expect(first).to_contain_text("10 GiB-hours")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download all as CSV").click()
        lines = Path(download.value.path()).read_text().splitlines()
        assert len(lines) == 7


def test_servers_that_run_now(campus: Campus):
    """At 8 GiB the 32 GiB-hours that remain last four hours: that is soon."""
    with visiting(campus, "running") as page:
        card = cards_of(page)
        expect(card.locator(".usage-quota-lasts")).to_contain_text("lasts until")
        expect(card.locator(".usage-quota-severity")).to_contain_text("Nearly used up")
        expect(page.locator(".usage-quota-sessions")).to_contain_text("still running")
        picture(page, "dashboard")


def test_a_pool_shows_only_ones_own_part(campus: Campus):
    with visiting(campus, "newcomer") as page:
        expect(cards_of(page)).to_contain_text("Memory (shared)")
        assert amount(cards_of(page).locator(".usage-quota-used").inner_text())[0] == pytest.approx(
            40, abs=0.1
        )
        figure = page.get_by_role("figure", name="Your part: Memory by day")
        figure.get_by_text("As a table").click()
        total = amount(figure.locator("tbody tr").first.locator("td").last.inner_text())[0]
        assert total == pytest.approx(10, abs=0.1)


def test_nothing_used_nothing_applies_and_nothing_known(campus: Campus):
    with visiting(campus, "empty") as page:
        expect(cards_of(page).locator(".usage-quota-used")).to_have_text("0 GiB-hours")
        expect(page.get_by_text("No server ran in the time that counts.")).to_be_visible()
        assert faults(page) == []
    with visiting(campus, "admin") as page:
        expect(page.get_by_text("No quota applies.")).to_be_visible()
        assert faults(page) == []
    with visiting(campus, "unknown") as page:
        expect(cards_of(page).locator(".usage-quota-used")).to_have_text("not known")
        expect(cards_of(page).locator(".usage-quota-notice")).to_contain_text("is not known")
        expect(cards_of(page).get_by_role("meter")).to_have_count(0)
        assert "0 ghost-hours" not in page.locator("main").inner_text()


def test_a_home_is_shown_beside_compute_as_check_says(campus: Campus):
    """Figures that an exporter tells at this moment, and of which no policy is."""
    said = check(campus, "storing", "students")
    home, (compute,) = said["home_storage"], said["verdicts"]
    assert (home["used_bytes"], home["limit_bytes"]) == (9.25 * GIB, 10 * GIB)
    with visiting(campus, "storing") as page:
        card = page.locator("#usage-quota-gauge-storage")
        expect(card.get_by_role("heading")).to_have_text("Home storage")
        shown = {
            key: amount(card.locator(f".usage-quota-{key}").inner_text())
            for key in ("used", "remaining", "allowance")
        }
        assert shown == {
            "used": (home["used_bytes"] / GIB, "GiB"),
            "remaining": ((home["limit_bytes"] - home["used_bytes"]) / GIB * 1024, "MiB"),
            "allowance": (home["limit_bytes"] / GIB, "GiB"),
        }
        share = 100 * home["used_bytes"] / home["limit_bytes"]
        full = float(card.get_by_role("meter").get_attribute("aria-valuenow"))
        assert full == pytest.approx(share, abs=0.51)
        expect(card.locator(".usage-quota-severity")).to_contain_text("Nearly used up")
        told = card.locator(".usage-quota-measured time").get_attribute("datetime")
        since = datetime.fromisoformat(told) - datetime.fromisoformat(home["measured_at"])
        assert abs(since.total_seconds()) < 120
        # Compute is as it is without a home.
        used = cards_of(page).first.locator(".usage-quota-used").inner_text()
        assert amount(used) == (pytest.approx(compute["used"], abs=0.006), compute["unit"])
        for how in everywhere(page):
            picture(page, f"home-{how.replace(' ', '-')}", whole=True)


def test_a_home_without_a_limit_and_none_at_all(campus: Campus):
    assert check(campus, "keeping", "students")["home_storage"]["limit_bytes"] is None
    with visiting(campus, "keeping") as page:
        card = page.locator("#usage-quota-gauge-storage")
        expect(card.locator(".usage-quota-used")).to_have_text("500 GiB")
        expect(card.locator(".usage-quota-allowance")).to_have_text("none")
        expect(card.locator(".usage-quota-severity")).to_contain_text("OK")
        expect(card.get_by_role("meter")).to_have_count(0)
    assert check(campus, "near", "students")["home_storage"]["there"] is False
    with visiting(campus, "near") as page:
        expect(cards_of(page)).to_have_count(1)
        expect(page.locator("#usage-quota-gauge-storage")).to_have_count(0)


def test_twelve_policies(campus: Campus):
    with visiting(campus, "twelve") as page:
        expect(cards_of(page)).to_have_count(12)
        expect(page.locator(".usage-quota-bar").first).to_be_hidden()
        page.get_by_text("Usage over time").last.click()
        expect(page.get_by_role("figure").last).to_be_visible()
        assert no_horizontal_scroll(page)
        picture(page, "dashboard-twelve", whole=True)


# --- who sees what ------------------------------------------------------------------------------

PATHS = [
    "users/{}",
    "api/v1/users/{}",
    "api/v1/users/{}/usage?resource=memory",
    "api/v1/users/{}/sessions?format=csv",
    "api/v1/users/{}/forecast",
]


def test_a_user_sees_no_other_user_by_any_address(campus: Campus):
    context = new_context(campus, "within")
    for path in PATHS:
        for name in ("over", "nobody", "over%2F", "..%2Fme", quote("over<b>&", safe="")):
            answer = context.request.get(f"{campus.hub.url}{SERVICE}/{path.format(name)}")
            assert answer.status == 404, answer.url
            assert "GiB-hours" not in answer.text()
        own = context.request.get(f"{campus.hub.url}{SERVICE}/{path.format('within')}")
        assert own.status == 200
    part = context.request.get(
        f"{campus.hub.url}{SERVICE}/users/over", headers={"X-Usage-Quota-Part": "live"}
    )
    assert part.status == 404
    assert context.request.get(f"{campus.hub.url}{SERVICE}/users").status == 404
    context.close()


def test_without_a_session_a_script_learns_nothing_and_is_not_sent_to_log_in(campus: Campus):
    context = new_context(campus)
    answer = context.request.get(
        f"{campus.hub.url}{SERVICE}/", headers={"X-Usage-Quota-Part": "live"}, max_redirects=0
    )
    assert answer.status == 401
    context.close()


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_only_names(campus: Campus, name: str):
    with visiting(campus, name) as page:
        expect(page.locator("#usage-quota-live")).to_have_attribute("data-user", name)
        expect(page.locator("main img, main b, main script")).to_have_count(0)
        assert no_horizontal_scroll(page)
    with visiting(campus, "admin", f"/users/{quote(name, safe='')}") as page:
        expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        expect(page.locator("h1 bdi")).to_have_text(name)
        assert no_horizontal_scroll(page)


def test_what_admins_call_things_is_only_text(campus: Campus):
    with visiting(campus, "two") as page:
        expect(page.locator("main img, main b, main script")).to_have_count(0)
        expect(page.locator(".usage-quota-legend").first).to_contain_text(HOSTILE_PROFILE)
        expect(page.locator(".usage-quota-sessions")).to_contain_text(HOSTILE_PROFILE)
        expect(page.get_by_text("a <b>hostile</b> & long name")).to_be_visible()


# --- the table of all users ---------------------------------------------------------------------


def names_in(page: Page) -> list[str]:
    return [one.get_attribute("data-user") for one in page.locator("tbody[data-user]").all()]


def test_an_admin_finds_who_is_over(campus: Campus):
    with visiting(campus, "admin", "/users") as page:
        expect(page.locator("tbody[data-user]")).to_have_count(len(EVERYBODY))
        expect(page.locator("main img, main b")).to_have_count(0)
        picture(page, "all-users")
        page.get_by_role("link", name=re.compile("Nearly used up")).click()
        expect(page.locator("tbody[data-user]")).to_have_count(3)
        assert names_in(page) == ["near", "running", "two"]
        ends = page.locator("tbody[data-user=running] time")
        expect(ends).to_contain_text(re.compile("CET|GMT"))
        over = page.get_by_role("link", name=re.compile("^✕? ?Used up \\d+$"))
        over.click()
        expect(over).to_have_attribute("aria-current", "true")
        assert {"over", *HOSTILE} <= set(names_in(page))
        assert not {"within", "near", "empty", "running"} & set(names_in(page))
        page.go_back()
        expect(page.locator("tbody[data-user]")).to_have_count(3)
        page.get_by_role("link", name=re.compile("^All")).first.click()
        expect(page.locator("tbody[data-user]")).to_have_count(len(EVERYBODY))
        page.get_by_role("link", name="Used", exact=True).click()
        expect(page.get_by_role("columnheader", name="Used")).to_have_attribute(
            "aria-sort", "descending"
        )
        page.get_by_label("Name contains").fill("o'n")
        expect(page.locator("tbody[data-user]")).to_have_count(1)
        expect(page.get_by_label("Name contains")).to_be_focused()
        page.get_by_role("link", name="o'n\"eil").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Usage of o'n\"eil")


def test_the_table_in_pages_and_without_javascript(campus: Campus):
    with visiting(campus, "admin", "/users?limit=5", java_script_enabled=False) as page:
        seen = names_in(page)
        while page.get_by_role("link", name="Next").count():
            page.get_by_role("link", name="Next").click()
            seen += names_in(page)
        assert seen == sorted(EVERYBODY)
        page.get_by_label("Name contains").fill("running")
        page.get_by_role("button", name="Search").click()
        assert names_in(page) == ["running"]
        page.get_by_role("link", name="running").click()
        expect(page.locator(".usage-quota-lasts")).to_contain_text("UTC")
        expect(page.get_by_role("figure")).to_contain_text("UTC")


def test_an_admin_tries_a_limit_on_the_past_without_javascript(campus: Campus):
    """What `over` used in the last days is known to the hour: see `campus.history`."""
    with visiting(campus, "admin", "/users", java_script_enabled=False) as page:
        page.get_by_role("link", name="Try limits on the past").click()
        page.get_by_label("Limit, for example").fill("50 GiB-hours")
        page.get_by_label("Of what").select_option("memory")
        page.get_by_label("Of whom").select_option("students")
        page.get_by_label("How many days back").fill("5")
        page.get_by_role("button", name="Try", exact=True).click()
        # 40 GiB-hours four days ago, and 40 two days ago: three quarters of those by one server.
        row = page.locator('tr[data-user="over"]')
        expect(row).to_contain_text("3 of 6")
        expect(page.locator('tr[data-user="within"]')).to_have_count(0)
        expect(page.locator("main img, main b")).to_have_count(0)
        expect(page.locator("section[data-policy] strong")).to_contain_text("GiB-hours would have")
        expect(page.locator("svg.usage-quota-line polyline")).to_have_count(3)
        url = page.url.partition(SERVICE)[2]
    with visiting(campus, "admin", url) as page:
        picture(page, "simulate", whole=True)
        for how in everywhere(page):
            assert faults(page, how) == [], how
            assert too_wide(page) == [], how
        with page.expect_download() as download:
            page.get_by_role("link", name="Download all as CSV").click()
        assert "over" in download.value.path().read_text()
        page.get_by_label("Limit, for example").fill("50 apples")
        page.get_by_role("button", name="Try", exact=True).click()
        expect(page.locator("#usage-quota-problem")).to_contain_text("not a unit of memory")


# --- for everybody ------------------------------------------------------------------------------

VIEWS = [
    ("over", "/"),
    ("near", "/"),
    ("running", "/"),
    ("within", "/"),
    ("two", "/"),
    ("twelve", "/"),
    ("newcomer", "/"),
    ("empty", "/"),
    ("storing", "/"),
    ("keeping", "/"),
    ("unknown", "/"),
    ("admin", "/"),
    ("admin", "/users"),
    ("admin", "/users?limit=3&offset=3&sort=-used&group=students"),
    ("admin", "/users?search=nobody-is-called-so"),
    ("admin", f"/users/{'x' * 200}"),
    ("over", "/nowhere"),
]


@pytest.mark.parametrize(("name", "path"), VIEWS)
def test_axe_finds_nothing_serious_in_any_theme_and_size(campus: Campus, name, path):
    with visiting(campus, name, path) as page:
        for how in everywhere(page):
            assert faults(page, how) == [], how
            assert too_wide(page) == [], how


def test_the_hubs_own_switch_changes_the_theme(campus: Campus):
    with visiting(campus, "near") as page:
        before = page.locator(".usage-quota-s1").first.evaluate("e => getComputedStyle(e).color")
        page.locator("#dark-theme-toggle").click()
        expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
        after = page.locator(".usage-quota-s1").first.evaluate("e => getComputedStyle(e).color")
        assert before != after
        picture(page, "dashboard-dark")


@pytest.mark.parametrize(("name", "path"), VIEWS)
def test_on_a_phone_nothing_is_wider_than_the_screen(campus: Campus, name, path):
    with visiting(campus, name, path, viewport=PHONE, has_touch=True) as page:
        assert no_horizontal_scroll(page)
        if name == "near":
            page.locator(".usage-quota-bar").nth(3).tap()
            expect(page.locator(".usage-quota-readout")).to_have_text(
                page.locator(".usage-quota-bar").nth(3).get_attribute("aria-label")
            )
            picture(page, "dashboard-phone")
        if path == "/users":
            picture(page, "all-users-phone")


def test_levels_are_told_by_more_than_colour(campus: Campus):
    fills = {}
    for name in ("within", "near", "over"):
        with visiting(campus, name) as page:
            expect(page.locator(".usage-quota-severity .usage-quota-icon").first).to_be_visible()
            fill = page.locator(".usage-quota-card .usage-quota-fill").first
            fills[name] = fill.evaluate("e => getComputedStyle(e).backgroundImage")
    assert len(set(fills.values())) == 3


# --- live ---------------------------------------------------------------------------------------


def test_an_open_page_asks_every_minute_and_says_when_it_fails(campus: Campus):
    context = new_context(campus, "near")
    page = context.new_page()
    page.clock.install()
    page.add_init_script(COUNT_ASKED)
    answers: list[Response] = []
    page.on(
        "response",
        lambda one: answers.append(one) if "x-usage-quota-part" in one.request.headers else None,
    )
    page.goto(f"{campus.hub.url}{SERVICE}/")
    # Days are those of this browser only once the page has told where it is.
    asked = page.evaluate("() => asked(1)")

    def a_minute_later() -> None:
        nonlocal asked
        asked += 1
        page.clock.fast_forward(61_000)
        assert page.evaluate("wanted => asked(wanted)", asked) == asked

    a_minute_later()
    assert answers[-1].status in (200, 304)
    page.get_by_text("As a table").click()
    page.locator(".usage-quota-bar").nth(2).focus()
    scroll = page.evaluate("() => (scrollTo({top: 150, behavior: 'instant'}), scrollY)")
    a_minute_later()
    assert answers[-1].status in (200, 304)
    assert answers[-1].request.headers["if-none-match"]
    expect(page.locator(".usage-quota-bar").nth(2)).to_be_focused()
    expect(page.locator(".usage-quota-plot details")).to_have_attribute("open", "")
    expect(page.locator(".usage-quota-readout")).to_have_text(
        page.locator(".usage-quota-bar").nth(2).get_attribute("aria-label")
    )
    assert page.evaluate("() => scrollY") == scroll
    trouble = page.locator("#usage-quota-trouble")
    context.set_offline(True)
    a_minute_later()
    expect(trouble).to_contain_text("could not be brought up to date")
    context.set_offline(False)
    a_minute_later()
    expect(trouble).to_be_hidden()
    context.clear_cookies()
    a_minute_later()
    expect(trouble).to_contain_text("Your session has ended")
    context.close()


def test_the_same_is_not_sent_again(campus: Campus):
    context = new_context(campus, "near")
    url = f"{campus.hub.url}{SERVICE}/"
    part = {"X-Usage-Quota-Part": "live"}
    while True:
        first = context.request.get(url, headers=part)
        again = context.request.get(url, headers=part | {"If-None-Match": first.headers["etag"]})
        if again.status == 304:
            break
        # The minute has ended between the two; it cannot have between the next two.
        assert again.text() != first.text()
    assert "script" not in first.text()
    context.close()


def watch(campus: Campus, page: Page) -> None:
    """Leave a page open whose user takes seats from now on: what was used is known after the next
    whole minute, in which other tests have something to do.
    """
    expect(cards_of(page).locator(".usage-quota-used")).to_have_text("0 seat-hours")
    expect(cards_of(page).locator(".usage-quota-severity")).to_contain_text("OK")
    page.evaluate("() => { window.sameDocument = true }")
    campus.seats.values["live"] = 300.0
    campus.watched = page


def test_what_changes_is_shown_without_reloading(campus: Campus):
    """300 seats are five seat-hours a minute; three are allowed."""
    page = campus.watched
    used = cards_of(page).locator(".usage-quota-used")
    deadline = time.monotonic() + PATIENCE
    while used.inner_text() == "0 seat-hours":
        assert time.monotonic() < deadline
        page.wait_for_timeout(500)
        page.evaluate(COME_BACK)
    shown, _ = amount(used.inner_text())
    assert shown == pytest.approx(5 * round(shown / 5))
    assert shown >= 5
    expect(cards_of(page).locator(".usage-quota-severity")).to_contain_text("Used up")
    expect(page.locator("#usage-quota-announcer")).to_have_text("Seats, seats: Used up")
    assert page.evaluate("() => window.sameDocument")


# --- files --------------------------------------------------------------------------------------


def test_scripts_and_styles_are_kept_by_browsers_and_protected(campus: Campus):
    with visiting(campus, "near") as page:
        sources = [
            page.locator("script[type=module]").get_attribute("src"),
            page.locator("link[href*='usage-quota.css']").get_attribute("href"),
        ]
        for source in sources:
            answer = page.request.get(campus.hub.url + source)
            assert answer.status == 200
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            other = page.request.get(campus.hub.url + source.partition("?")[0] + "?v=other")
            assert other.headers["cache-control"] == "no-cache"
        for path in ("../pages.py", "..%2Fpages.py", "", "nothing.js"):
            assert not page.request.get(f"{campus.hub.url}{SERVICE}/static/{path}").ok


# --- JupyterHub 5, and usage that is stale ------------------------------------------------------


@pytest.fixture
def ended(seats: Seats, tmp_path_factory) -> Iterator[str]:
    """A Prometheus whose source was scraped last ten minutes ago."""
    then = int(time.time()) // 60 * 60 - 600
    with prometheus_of(tmp_path_factory.mktemp("ended"), seats, then) as url:
        yield url


def test_on_jupyterhub_5_with_usage_that_is_stale(
    browser: Browser, ended: str, seats: Seats, tmp_path
):
    with hub_of(tmp_path, "5", ended, stale_after=120.0) as hub:
        campus = Campus(hub, browser, seats, ended)
        with visiting(campus, "near") as page:
            card = cards_of(page)
            notice = card.locator(".usage-quota-notice")
            expect(notice).to_contain_text("Last known:")
            expect(notice.locator("time")).to_contain_text(re.compile("CET|GMT"))
            expect(card.locator(".usage-quota-used")).to_have_text("not known")
            expect(card.get_by_role("meter")).to_have_count(0)
            picture(page, "stale")
            page.locator("#dark-theme-toggle").click()
            expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
        with visiting(campus, "near") as page:
            for how in everywhere(page):
                assert faults(page, how) == [], how
        with visiting(campus, "admin", "/users") as page:
            expect(page.locator("tbody[data-user=near]")).to_contain_text("Not known")
            for how in everywhere(page):
                assert faults(page, how) == [], how
        for name, path in (("two", "/"), ("twelve", "/"), ("storing", "/"), ("near", "/nowhere")):
            with visiting(campus, name, path) as page:
                for how in everywhere(page):
                    assert faults(page, how) == [], (name, path, how)


def test_now_is_said(campus: Campus):
    with visiting(campus, "near") as page:
        said = page.locator(".usage-quota-as-of time").get_attribute("datetime")
        assert abs((datetime.now(UTC) - datetime.fromisoformat(said)).total_seconds()) < 120
