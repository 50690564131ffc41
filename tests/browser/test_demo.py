"""The demo, used as its users would: in a real browser, far away from UTC.

With SCREENSHOTS set to a folder, pictures of the pages are left there; the ones in the
documentation are made this way.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.programs import Program, free_port
from tests.support.visitor import Visitor, text_of

from .conftest import patient_context, picture

GIB = 1024**3
TOKYO = ZoneInfo("Asia/Tokyo")


COMMAND = [str(Path(sys.executable).with_name("jupyterhub-usage-quotas")), "demo"]


@dataclass(frozen=True)
class Demo:
    port: int
    program: Program
    directory: Path
    first_pages: dict[str, str]
    """What users read on the dashboard right after the demo said that they can log in."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def requests(self, username: str) -> dict[str, float]:
        """What a user's running servers request, in Prometheus, by resource."""
        prometheus = re.search(r"Prometheus is at (\S+)\.\s", self.program.output())
        query = f'jupyterhub_usage_quotas_server_requests{{username="{username}"}}'
        answer = httpx.get(
            f"{prometheus[1]}/api/v1/query", params={"query": query}, trust_env=False
        )
        return {
            f"{one['metric']['profile']}: {one['metric']['resource']}": float(one["value"][1])
            for one in answer.json()["data"]["result"]
        }


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    directory = tmp_path_factory.mktemp("demo")
    port = free_port()
    arguments = ["--port", str(port), "--directory", str(directory / "files")]
    with Program([*COMMAND, *arguments], directory / "output") as program:
        program.wait_until(lambda: "Press Ctrl-C" in program.output(), timeout=120)
        first = {name: dashboard_of(f"http://127.0.0.1:{port}", name) for name in ("alice", "bob")}
        yield Demo(port, program, directory, first)


def dashboard_of(url: str, username: str) -> str:
    return text_of(Visitor(url, username).http.get("/services/usage-quota/"))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = patient_context(
        browser, timezone_id="Asia/Tokyo", locale="en-GB", viewport={"width": 1000, "height": 560}
    )
    yield context.new_page()
    context.close()


def log_in(page: Page, demo: Demo, username: str) -> None:
    page.goto(f"{demo.url}/hub/login?next=/hub/home")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill("anything")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#start")).to_be_visible()


def choose(page: Page, profile: str) -> None:
    """Open the form with a user's profiles and choose one, by its slug."""
    page.locator("#start").click()
    page.locator(f"input[name=profile][value={profile}]").check()


def press_start(page: Page) -> None:
    page.get_by_role("button", name="Start").click()


def mark(page: Page, profile: str) -> Locator:
    """What is written beside a profile."""
    return page.locator(f".usage-quota-mark[data-profile='{profile}']")


def assert_time_is_shown_in_tokyo(page: Page) -> None:
    shown = page.locator("time.usage-quota-time").first
    retry = datetime.fromisoformat(shown.get_attribute("datetime")).astimezone(TOKYO)
    text = shown.inner_text()
    assert re.search(rf"\b{retry.day}\b", text), text
    assert f"{retry:%A}" in text
    assert f"{retry:%H:%M}" in text
    assert "GMT+9" in text
    assert shown.get_attribute("title").endswith("UTC")


def test_who_is_who_is_said(demo: Demo):
    said = demo.program.output()
    for name in ("alice", "bob", "carol", "dave", "admin"):
        assert f"\n  {name} " in said


@pytest.mark.parametrize(
    ("username", "home"), [("alice", "Used 3.25 GiB Limit 10 GiB"), ("bob", "Used 9.4 GiB")]
)
def test_usage_and_home_storage_are_there_from_the_first_second(
    demo: Demo, username: str, home: str
):
    said = demo.first_pages[username]
    assert "Home storage" in said
    assert home in said
    assert "of 100 GiB-hours" in said
    assert "not known" not in said


def test_a_second_demo_at_the_same_port_says_so_and_the_first_goes_on(demo: Demo):
    done = subprocess.run(
        [*COMMAND, "--port", str(demo.port), "--directory", str(demo.directory / "other")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"port {demo.port} of 127.0.0.1" in done.stderr
    assert httpx.get(f"{demo.url}/hub/health", trust_env=False).is_success


def test_what_each_profile_could_run_for_is_beside_it(page: Page, demo: Demo):
    """Alice has 44 of 100 GiB-hours and 2 GPU-hours left; the profiles have 4, 16 and 16 GiB. What
    lasts for more than a day is reached by the 8 GiB-hours that leave the window in 20 to 22 hours.
    """
    log_in(page, demo, "alice")
    page.locator("#start").click()
    expect(page.get_by_role("radio")).to_have_count(4)
    # A few minutes of what was used may have left the window by now.
    expect(mark(page, "small")).to_have_text(re.compile(r"Could run for 11h( \dm)?$"))
    expect(mark(page, "large")).to_have_text(re.compile(r"Could run for 2h 4[5-9]m$"))
    expect(mark(page, "gpu")).to_have_text("Could run for 2h")
    own_size = mark(page, "own-size")
    expect(own_size).to_have_text("Could run for 26h")
    page.get_by_label("Memory", exact=True).select_option("8 GiB")
    expect(own_size).to_have_text(re.compile(r"Could run for 5h 3\dm$"))
    page.get_by_label("CPUs", exact=True).select_option("8")  # of which there is no quota
    expect(own_size).to_have_text(re.compile(r"Could run for 5h 3\dm$"))
    page.get_by_label("Memory", exact=True).select_option("32 GiB")
    expect(own_size).to_have_text(re.compile(r"Could run for 1h 2\dm$"))


def test_bob_is_told_why_and_when_in_his_own_time_zone(page: Page, demo: Demo):
    log_in(page, demo, "bob")
    choose(page, "small")
    expect(mark(page, "small")).to_have_text(re.compile("Not before "))
    press_start(page)
    error = page.locator(".spawn-error-msg")
    expect(error).to_contain_text(re.compile(r"^\s*You have used up your memory quota"))
    expect(error).to_contain_text("of 100 GiB-hours in the last 7 days")
    expect(error).to_contain_text("contact the administrators of this JupyterHub")
    assert_time_is_shown_in_tokyo(page)
    picture(page, "denied")


def test_bob_reads_the_same_on_the_pending_page(page: Page, demo: Demo):
    log_in(page, demo, "bob")
    choose(page, "large")
    press_start(page)
    expect(page.locator(".spawn-error-msg")).to_be_visible()
    page.goto(f"{demo.url}/hub/spawn-pending/bob")
    expect(page.get_by_text("You have used up your memory quota")).to_be_visible()
    assert_time_is_shown_in_tokyo(page)


def test_bob_and_the_admin_see_where_he_stands(page: Page, demo: Demo):
    address = f"{demo.url}/services/usage-quota/"
    assert address in demo.program.output()
    log_in(page, demo, "bob")
    page.goto(address)
    expect(page.locator(".usage-quota-severity").first).to_contain_text("Used up")
    expect(page.get_by_role("figure", name="Memory by day and server")).to_be_visible()
    expect(page.locator("figcaption").first).to_contain_text("Asia/Tokyo")
    page.context.clear_cookies()
    log_in(page, demo, "admin")
    page.goto(f"{address}users")
    expect(page.locator("tbody[data-user=bob]")).to_contain_text("Used up")


def test_the_admin_to_whom_no_quota_applies_counts_as_such(page: Page, demo: Demo):
    log_in(page, demo, "admin")
    page.goto(f"{demo.url}/services/usage-quota/users")
    counts = page.get_by_role("list", name="States").get_by_role("link")
    expect(counts).to_have_text(
        [
            re.compile(rf"{name}\s+{number}\s*$")
            for name, number in (
                ("All", 5),
                ("Used up", 1),
                ("Nearly used up", 0),
                ("Not known", 0),
                ("OK", 3),
                ("No quota", 1),
            )
        ]
    )
    counts.filter(has_text="No quota").click()
    expect(page.locator("tbody[data-user]")).to_have_count(1)
    expect(page.locator("tbody[data-user=admin]")).to_contain_text("No quota applies.")
    counts.filter(has_text="OK").click()
    expect(page.locator("tbody[data-user]")).to_have_count(3)
    expect(page.locator("tbody[data-user=admin]")).to_have_count(0)


def test_on_a_phone_names_stay_in_sight_while_the_table_is_scrolled(page: Page, demo: Demo):
    page.set_viewport_size({"width": 360, "height": 740})
    log_in(page, demo, "admin")
    page.goto(f"{demo.url}/services/usage-quota/users")
    name = page.locator("tbody[data-user=carol] .usage-quota-name")
    before = name.bounding_box()
    page.get_by_role("region", name="Users").evaluate("(table) => { table.scrollLeft = 9999; }")
    expect(page.get_by_role("columnheader", name="Allowance")).to_be_in_viewport()
    assert name.bounding_box() == before


def test_home_storage_is_beside_the_quotas(page: Page, demo: Demo):
    log_in(page, demo, "dave")
    page.goto(f"{demo.url}/services/usage-quota/")
    quota = page.locator("#usage-quota-card-1").bounding_box()
    home = page.locator("#usage-quota-gauge-storage").bounding_box()
    assert home["y"] == quota["y"]
    assert home["x"] > quota["x"] + quota["width"]


@pytest.mark.parametrize(
    ("username", "profile", "requests"),
    [
        ("alice", "small", {"memory": 4 * GIB, "cpu": 1, "time": 1}),
        ("carol", "gpu", {"memory": 16 * GIB, "cpu": 4, "gpu": 1, "time": 1}),
        ("admin", "large", {"memory": 16 * GIB, "cpu": 4, "time": 1}),
    ],
)
def test_a_server_starts_and_what_its_profile_requests_is_recorded(
    page: Page, demo: Demo, username: str, profile: str, requests: dict[str, float]
):
    log_in(page, demo, username)
    choose(page, profile)
    press_start(page)
    page.wait_for_url(f"**/user/{username}/**")
    recorded = {f"{profile}: {name}": amount for name, amount in requests.items()}
    demo.program.wait_until(lambda: demo.requests(username) == recorded)
    Visitor(demo.url, username).stop()


def test_what_is_chosen_within_a_profile_is_what_the_server_requests(page: Page, demo: Demo):
    log_in(page, demo, "dave")
    choose(page, "own-size")
    page.get_by_label("CPUs", exact=True).select_option("2")
    page.get_by_label("Memory", exact=True).select_option("8 GiB")
    press_start(page)
    page.wait_for_url("**/user/dave/**")
    amounts = {"memory": 8 * GIB, "cpu": 2, "time": 1}
    recorded = {f"own-size/cpu=2/memory=8: {name}": amount for name, amount in amounts.items()}
    demo.program.wait_until(lambda: demo.requests("dave") == recorded)
    Visitor(demo.url, "dave").stop()
    # The form has it selected the next time, and what is beside the profile is of that.
    page.goto(f"{demo.url}/hub/spawn/dave")
    expect(page.get_by_label("Memory", exact=True)).to_have_value("8")
    selected = page.locator("#usage-quota-profiles tr[data-profile=own-size]:not([hidden])")
    expect(selected).to_have_attribute("data-choices", '{"cpu": "2", "memory": "8"}')
    expect(mark(page, "own-size")).to_contain_text("Could run for ")


def processes_of(demo: Demo) -> list[str]:
    """The programs that have the demo's folder in their command line or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue  # it has ended
        if str(demo.directory).encode() in told:
            found.append((process / "comm").read_text().strip())
    return found


def test_ctrl_c_stops_everything(demo: Demo):
    """The last test of this file: the demo is gone after it."""
    running = processes_of(demo)
    assert "prometheus" in running
    assert "node" in running  # the proxy that the Hub started
    # The next one makes up other usage, and removes this folder.
    (cached,) = demo.directory.rglob("usage-quotas.checkpoint")
    assert cached.parent.name == "prometheus"
    demo.program.send_signal(signal.SIGINT)
    assert demo.program.wait_for_exit() == 0
    assert demo.program.output().endswith("Stopped.\n")
    assert processes_of(demo) == []
