"""The demo, used as its users would: in a real browser, far away from UTC.

With SCREENSHOTS set to a folder, pictures of the pages are left there; the ones in the
documentation are made this way.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.programs import Program, free_port
from tests.support.visitor import Visitor

from .conftest import picture

TOKYO = ZoneInfo("Asia/Tokyo")


@dataclass(frozen=True)
class Demo:
    url: str
    program: Program
    directory: Path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    directory = tmp_path_factory.mktemp("demo")
    port = free_port()
    command = [Path(sys.executable).with_name("jupyterhub-usage-quotas"), "demo"]
    arguments = ["--port", str(port), "--directory", str(directory / "files")]
    with Program([*map(str, command), *arguments], directory / "output") as program:
        program.wait_until(lambda: "Press Ctrl-C" in program.output(), timeout=120)
        yield Demo(f"http://127.0.0.1:{port}", program, directory)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        timezone_id="Asia/Tokyo", locale="en-GB", viewport={"width": 1000, "height": 560}
    )
    yield context.new_page()
    context.close()


def log_in(page: Page, demo: Demo, username: str) -> None:
    page.goto(f"{demo.url}/hub/login?next=/hub/home")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill("anything")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#start")).to_be_visible()


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


def test_bob_is_told_why_and_when_in_his_own_time_zone(page: Page, demo: Demo):
    log_in(page, demo, "bob")
    page.locator("#start").click()
    expect(page.get_by_role("heading", name="Usage quota reached")).to_be_visible()
    error = page.locator("div.error")
    expect(error).to_contain_text("You have used up your memory quota")
    expect(error).to_contain_text("of 100 GiB-hours in the last 7 days")
    expect(error).to_contain_text("contact the administrators of this JupyterHub")
    assert_time_is_shown_in_tokyo(page)
    picture(page, "denied")


def test_bob_reads_the_same_on_the_pending_page(page: Page, demo: Demo):
    log_in(page, demo, "bob")
    page.locator("#start").click()
    expect(page.locator("div.error")).to_be_visible()
    page.goto(f"{demo.url}/hub/spawn-pending/bob")
    expect(page.get_by_text("You have used up your memory quota")).to_be_visible()
    assert_time_is_shown_in_tokyo(page)


def test_bob_and_the_admin_see_where_he_stands(page: Page, demo: Demo):
    address = f"{demo.url}/services/usage-quota/"
    assert address in demo.program.output()
    log_in(page, demo, "bob")
    page.goto(address)
    expect(page.locator(".usage-quota-level").first).to_contain_text("Used up")
    expect(page.get_by_role("figure", name="Memory by day and server")).to_be_visible()
    expect(page.locator("figcaption").first).to_contain_text("Asia/Tokyo")
    page.context.clear_cookies()
    log_in(page, demo, "admin")
    page.goto(f"{address}users")
    expect(page.locator("tbody[data-user=bob]")).to_contain_text("Used up")


@pytest.mark.parametrize("username", ["alice", "carol", "admin"])
def test_within_quota_pressing_start_leads_to_a_server(page: Page, demo: Demo, username: str):
    log_in(page, demo, username)
    page.locator("#start").click()
    page.wait_for_url(f"**/user/{username}/**", timeout=60_000)
    Visitor(demo.url, username).stop()


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
    demo.program.send_signal(signal.SIGINT)
    assert demo.program.wait_for_exit() == 0
    assert demo.program.output().endswith("Stopped.\n")
    assert processes_of(demo) == []
