"""What the Hub's own pages say of quotas, on real Hubs of both versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from bs4 import BeautifulSoup, Tag

from tests.support.cluster import HOUR
from tests.support.hub import PYTHONS, Hub, running_hub
from tests.support.profile_form import choosing, profile
from tests.support.programs import free_port
from tests.support.recorded_hub import LIMIT, Recorded, quotas
from tests.support.visitor import Visitor, text_of

HOSTILE = "<img src=x onerror=alert(1)>\" ' {{ 7 * 7 }}"
PROFILES = [
    profile("Huge", 16, slug="huge", default=True),
    profile("Small", 1, slug="small"),
    profile(HOSTILE, 4, slug="hostile"),
    profile("Large", 7, slug="large"),
]
CHOOSING = ("within", "over-form", "over<b>&", "mate", "admin")
POLICIES = f"""
c.UsageQuotaManager.policy = [
    {{
        "name": "memory <day>",
        "resource": "memory",
        "limit": "{LIMIT} GiB-hours",
        "window": "24h",
        "minimum_session": "1h",
        "scope": {{"everyone": True}},
        "exempt": {{"user": ["nobody", "mate", "newcomer"]}},
    }},
    {{
        "name": "team day",
        "resource": "memory",
        "limit": "10 GiB-hours",
        "window": "24h",
        "scope": {{"group": ["team-red"]}},
        "share": "pooled",
    }},
]
c.UsageQuotaManager.export_usage = False
c.UsageConfig.refresh_interval = 3.0
"""


class Opened:
    """A page of the Hub that somebody opened."""

    def __init__(self, visitor: Visitor, path: str) -> None:
        self.answer = visitor.http.get(f"{visitor.hub}{path}")
        self.soup = BeautifulSoup(self.answer.text, "html.parser")

    @property
    def chip(self) -> Tag | None:
        return self.soup.find(id="usage-quota-chip")

    @property
    def banner(self) -> Tag | None:
        return self.soup.find(class_="usage-quota-banner")

    def cells(self, table: str) -> list[list[str]]:
        """The words of a table's rows, without its heading."""
        rows = self.soup.select(f"#{table} tbody tr")
        return [[words(cell) for cell in row.find_all(["th", "td"])] for row in rows]


def words(tag: Tag | None) -> str:
    return " ".join(tag.get_text(" ").split()) if tag else ""


def home(hub: Hub, name: str) -> Opened:
    return Opened(Visitor(hub.url, name), "/home")


def launch_page(hub: Hub, name: str, server: str = "") -> Opened:
    return Opened(Visitor(hub.url, name), f"/spawn/{quote(name)}/{server}".rstrip("/"))


@pytest.fixture(scope="module", params=PYTHONS)
def hub(
    request: pytest.FixtureRequest, recorded: Recorded, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    config = quotas(recorded) + POLICIES + choosing(PROFILES, CHOOSING, ["bare"])
    directory = tmp_path_factory.mktemp(f"pages{request.param}")
    with running_hub(directory, request.param, config) as running:
        visitor = Visitor(running.url, "within")
        visitor.wait_until(lambda: "left" in words(Opened(visitor, "/home").chip))
        yield running


# --- the chip -----------------------------------------------------------------------------------


def test_the_chip_says_what_is_left_and_links_to_the_dashboard(hub: Hub):
    chip = home(hub, "within").chip
    assert words(chip) == "Usage quota: Memory 6 GiB-hours left"
    assert chip["href"] == "/services/usage-quota/"
    assert chip["title"] == "Memory: 2 of 8 GiB-hours used in the last day (memory <day>)."


def test_the_chip_of_who_is_over_says_until_when(hub: Hub, recorded: Recorded):
    chip = home(hub, "over<b>&").chip
    assert words(chip).startswith("Usage quota: Memory used up until ")
    # Ten GiB for two hours until an hour before the end: 12 of the 20 GiB-hours have to go.
    at = datetime.fromisoformat(chip.time["datetime"])
    left_window = recorded.end - 3 * HOUR + 1.2 * HOUR + 24 * HOUR
    assert abs(at.timestamp() - left_window) <= 120
    assert words(chip.time) == f"{at:%a %H:%M} UTC"


def test_the_chip_is_on_error_pages_too(hub: Hub):
    missing = Opened(Visitor(hub.url, "within"), "/nonsense")
    assert missing.answer.status_code == 404
    assert words(missing.chip) == "Usage quota: Memory 6 GiB-hours left"


def test_nobody_is_told_anything_whom_no_policy_covers(hub: Hub):
    opened = home(hub, "nobody")
    assert opened.answer.is_success
    assert (opened.chip, opened.banner) == (None, None)
    assert "usage-quota" not in opened.answer.text.replace("/services/usage-quota/", "").replace(
        ">usage-quota</a>", ""
    )


def test_a_pool_counts_what_its_members_used(hub: Hub):
    for name in ("mate", "newcomer"):
        visitor = Visitor(hub.url, name)
        # Seven of ten were used by one of the two; pools are added up after a refresh.
        visitor.wait_until(
            lambda visitor=visitor: (
                words(Opened(visitor, "/home").chip) == "Usage quota: Memory 3 GiB-hours left"
            ),
        )
        (row,) = Opened(visitor, "/home").cells("usage-quota-policies")
        assert row == ["Memory in the last day, shared with others", "3 GiB-hours", "10 GiB-hours"]


def test_the_login_page_says_nothing(hub: Hub):
    page = httpx.get(f"{hub.url}/hub/login", trust_env=False).text
    assert "usage-quota" not in page


# --- where servers are started ------------------------------------------------------------------


def test_the_launch_page_says_what_is_left_and_how_long_each_profile_could_run(hub: Hub):
    opened = launch_page(hub, "within")
    assert opened.cells("usage-quota-policies") == [
        ["Memory in the last day", "6 GiB-hours", "8 GiB-hours"]
    ]
    huge, small, hostile, large = opened.cells("usage-quota-profiles")
    assert huge == ["Huge", "Not within your quotas"]
    assert small == ["Small", "6h"]
    assert hostile == [HOSTILE, "1h 30m"]
    assert re.fullmatch(r"Not before \w{3} \d\d:\d\d UTC", large[1])
    slugs = [row["data-profile"] for row in opened.soup.select("#usage-quota-profiles tbody tr")]
    radios = opened.soup.select("#spawn_form input[type=radio][name=profile]")
    assert slugs == [radio["value"] for radio in radios]
    denied = opened.soup.select("#usage-quota-profiles [data-denied]")
    assert [row["data-profile"] for row in denied] == ["huge", "large"]


def test_at_the_time_that_is_told_the_profile_fits(hub: Hub, recorded: Recorded):
    at = launch_page(hub, "within").soup.select_one("[data-profile=large] time")["datetime"]
    # One GiB was used from three hours to one hour before the end; one hour of it has to go.
    expected = recorded.end - 2 * HOUR + 24 * HOUR
    assert abs(datetime.fromisoformat(at).timestamp() - expected) <= 120


def test_hostile_names_are_text(hub: Hub):
    opened = launch_page(hub, "over<b>&")
    assert opened.banner.find("img") is None
    assert opened.banner.find("b") is None
    assert HOSTILE in words(opened.banner)
    assert opened.chip.find("b") is None
    assert "(memory <day>)" in opened.chip["title"]


def test_the_home_page_says_what_is_left(hub: Hub):
    opened = home(hub, "within")
    assert opened.cells("usage-quota-policies") == [
        ["Memory in the last day", "6 GiB-hours", "8 GiB-hours"]
    ]
    # What they could choose is on the next page.
    assert opened.cells("usage-quota-profiles") == []


def test_hub_and_dashboard_say_the_same(hub: Hub):
    visitor = Visitor(hub.url, "over-form")
    assert visitor.http.get("/services/usage-quota/").is_success
    (verdict,) = visitor.http.get("/services/usage-quota/api/v1/me").json()["verdicts"]
    chip = Opened(visitor, "/home").chip
    told = datetime.fromisoformat(verdict["retry_time"])
    assert abs(datetime.fromisoformat(chip.time["datetime"]) - told) <= timedelta(minutes=1)
    visitor = Visitor(hub.url, "within")
    assert visitor.http.get("/services/usage-quota/").is_success
    (verdict,) = visitor.http.get("/services/usage-quota/api/v1/me").json()["verdicts"]
    assert words(Opened(visitor, "/home").chip).endswith(
        f" {verdict['remaining']:g} GiB-hours left"
    )


def test_who_starts_a_server_for_somebody_sees_their_quotas_only_with_the_right_to(hub: Hub):
    admin = Visitor(hub.url, "admin")
    opened = Opened(admin, "/spawn/within")
    if opened.answer.status_code == 404:  # not a user yet
        Visitor(hub.url, "within")
        opened = Opened(admin, "/spawn/within")
    assert opened.cells("usage-quota-policies")[0][1] == "6 GiB-hours"
    # The chip stays that of who looks.
    assert words(opened.chip) == "Usage quota: Memory 8 GiB-hours left"


# --- after a denial -----------------------------------------------------------------------------


def test_a_denied_launch_says_what_else_could_be_started(hub: Hub):
    visitor = Visitor(hub.url, "bare")
    page = visitor.start()
    assert page.status_code == 429
    soup = BeautifulSoup(page.text, "html.parser")
    offered = [words(one) for one in soup.select(".usage-quota-alternatives li")]
    assert offered == ["Small for 8h", f"{HOSTILE} for 2h", "Large for 1h 9m"]
    assert soup.select_one(".usage-quota-alternatives img") is None
    # And once more on the page for a launch that failed before.
    again = BeautifulSoup(visitor.pending_page().text, "html.parser")
    assert [words(one) for one in again.select(".usage-quota-alternatives li")] == offered


def test_the_form_is_shown_again_with_the_profiles_as_they_were(hub: Hub):
    visitor = Visitor(hub.url, "within")
    page = visitor.submit_options(profile="huge")
    soup = BeautifulSoup(page.text, "html.parser")
    said = words(soup.select_one(".spawn-error-msg"))
    # Not "Error: ...": nothing is wrong.
    assert said.startswith("This server asks for more than your memory quota can ever give")
    # "Small" was not given the 16 GiB of the profile that was tried.
    assert words(soup.select_one("[data-profile=small] td")) == "6h"


# --- an admin's own pages, and usage that is not known -------------------------------------------


@pytest.fixture(scope="module", params=PYTHONS)
def customised(
    request: pytest.FixtureRequest, recorded: Recorded, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    """A Hub whose admin has own templates, and whose Prometheus is not there."""
    directory = tmp_path_factory.mktemp(f"own{request.param}")
    templates: Path = directory / "templates"
    templates.mkdir()
    (templates / "page.html").write_text(
        '{% extends "templates/page.html" %}'
        "{% block announcement %}<p id=admins>{{ motd }} of {{ who }}</p>{% endblock %}"
    )
    (templates / "spawn.html").write_text(
        '{% extends "templates/spawn.html" %}'
        "{% block heading %}<h1>Choose</h1>{{ super() }}{% endblock %}"
    )
    (templates / "home.html").write_text(
        '{% extends "page.html" %}{% block main %}<main>A home of its own</main>{% endblock %}'
    )
    config = quotas(recorded) + POLICIES + choosing(PROFILES, CHOOSING)
    config += f"""
c.UsageConfig.prometheus_url = "http://127.0.0.1:{free_port()}"
c.JupyterHub.template_paths = [{str(templates)!r}]
c.JupyterHub.template_vars = {{"motd": "Word", "who": lambda user: user.name if user else "none"}}
c.UsageViewer.enabled = False
"""
    with running_hub(directory, request.param, config) as running:
        yield running


def test_an_admins_own_templates_are_in_force_and_so_are_ours(customised: Hub):
    opened = home(customised, "within")
    assert words(opened.soup.find(id="admins")) == "Word of within"
    assert words(opened.soup.find("main")) == "A home of its own"
    assert opened.chip is not None
    opened = launch_page(customised, "within")
    assert [words(one) for one in opened.soup.find_all("h1")] == ["Choose", "Server Options"]
    assert words(opened.soup.find(id="admins")) == "Word of within"
    assert opened.banner is not None


def test_usage_that_is_not_known_is_said_to_be_unknown(customised: Hub):
    opened = launch_page(customised, "within")
    assert words(opened.chip) == "Usage quota: Usage unknown"
    assert opened.chip.name == "span"  # no dashboard, no link
    assert opened.cells("usage-quota-policies") == [
        ["Memory in the last day", "not known", "8 GiB-hours"]
    ]
    notice = words(opened.soup.find(class_="usage-quota-notice"))
    if "still being calculated" in notice:
        visitor = Visitor(customised.url, "within")
        visitor.wait_until(
            lambda: (
                "not known at the moment"
                in words(Opened(visitor, "/spawn/within").soup.find(class_="usage-quota-notice"))
            )
        )
        opened = launch_page(customised, "within")
    assert words(opened.soup.find(class_="usage-quota-notice")) == (
        "Usage is not known at the moment. Until it is, servers are not started."
    )
    # The huge one needs more than there ever is, whatever was used.
    found = {row[1] for row in opened.cells("usage-quota-profiles")}
    assert found == {"Not before usage is known", "Not within your quotas"}


# --- switched off -------------------------------------------------------------------------------


def test_each_of_them_can_be_left_out(recorded: Recorded, tmp_path: Path):
    config = quotas(recorded) + POLICIES + choosing(PROFILES, CHOOSING, ["bare"])
    config += """
c.UsageQuotaManager.show_in_header = False
c.UsageQuotaManager.show_at_launch = False
c.UsageQuotaManager.suggest_alternatives = False
"""
    with running_hub(tmp_path, "6", config) as hub:
        for opened in (home(hub, "within"), launch_page(hub, "within")):
            assert opened.answer.is_success
            assert (opened.chip, opened.banner) == (None, None)
        denied = Visitor(hub.url, "bare").start()
        assert denied.status_code == 429
        assert "What you can start now" not in text_of(denied)


NOT_ENFORCED = "Quotas are not enforced at the moment."


def test_in_shadow_mode_figures_are_shown_and_that_nothing_follows(
    recorded: Recorded, tmp_path: Path
):
    config = quotas(recorded) + POLICIES + choosing(PROFILES, CHOOSING)
    config += 'c.UsageQuotaManager.enforcement = "shadow"\n'
    with running_hub(tmp_path, "6", config) as hub:
        visitor = Visitor(hub.url, "over-form")
        visitor.wait_until(lambda: "Memory used up" in words(Opened(visitor, "/home").chip))
        for opened in (home(hub, "over-form"), launch_page(hub, "over-form")):
            assert words(opened.chip) == "Usage quota: Memory used up, not enforced"
            assert NOT_ENFORCED in opened.chip["title"]
            assert words(opened.banner.find(class_="usage-quota-notice")) == NOT_ENFORCED
            (row,) = opened.cells("usage-quota-policies")
            assert row[1:] == ["0 GiB-hours Used up, servers may start", f"{LIMIT} GiB-hours"]
            # Nothing ends what is started, and nothing is denied.
            assert opened.cells("usage-quota-profiles") == []
            assert opened.banner.find("time") is None
            assert opened.chip.find("time") is None
        within = home(hub, "within")
        assert words(within.chip) == "Usage quota: Memory 6 GiB-hours left"
        assert words(within.banner.find(class_="usage-quota-notice")) == NOT_ENFORCED
        assert Visitor(hub.url, "over").start().is_success
        on_the_dashboard(hub)


def on_the_dashboard(hub: Hub) -> None:
    """The same is said there; admins are also told what users would be."""
    own = text_of(Visitor(hub.url, "over").http.get("/services/usage-quota/"))
    assert f"A quota is used up. Servers may start. {NOT_ENFORCED}" in own
    assert "Used up. Servers may start anyway." in own
    assert "No server may start" not in own
    assert "Servers may start again" not in own
    admin = Visitor(hub.url, "admin").http
    assert "no launch is denied" in text_of(admin.get("/services/usage-quota/users"))
    of_over = text_of(admin.get("/services/usage-quota/users/over"))
    assert f"A quota is used up. Servers may start. {NOT_ENFORCED}" in of_over
    assert "If quotas were enforced, the user would see: “No server may start before" in of_over


def test_switched_off_the_hubs_pages_show_nothing(recorded: Recorded, tmp_path: Path):
    config = quotas(recorded) + POLICIES + 'c.UsageQuotaManager.enforcement = "off"\n'
    with running_hub(tmp_path, "6", config) as hub:
        opened = home(hub, "within")
        assert opened.answer.is_success
        assert (opened.chip, opened.banner) == (None, None)
