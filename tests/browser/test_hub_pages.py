"""The Hub's own pages as people see them: chip, banner and marks, in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.hub import Hub, running_hub
from tests.support.paths import ROOT
from tests.support.profile_form import choosing, profile
from tests.support.programs import backfill, start_prometheus
from tests.support.visitor import Visitor

from .conftest import patient_context, picture

ZURICH = ZoneInfo("Europe/Zurich")
AXE = ROOT / "frontend/node_modules/axe-core/axe.min.js"
DESK = {"width": 1000, "height": 800}
PHONE = {"width": 360, "height": 740}
PROFILES = [
    profile("Minimal environment", 2, slug="mini-cpu", default=True, description="2 GiB, no GPU"),
    profile("Large memory", 16, slug="large", description="16 GiB, no GPU"),
    profile("BME GPU Server", 8, 1, slug="bme-gpu", description="8 GiB and a GPU of its own"),
]
POLICIES = [
    {
        "name": "memory-week",
        "resource": "memory",
        "limit": "100 GiB-hours",
        "window": 7,
        "scope": {"everyone": True},
    },
    {
        "name": "gpu-week",
        "resource": "gpu",
        "limit": "8 GPU-hours",
        "window": 7,
        "minimum_session": "30 minutes",
        "servers": {"gpu": True},
        "scope": {"everyone": True},
    },
]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub_of(tmp_path_factory.mktemp("hub6"), "6") as running:
        yield running


@contextmanager
def hub_of(directory: Path, version: str) -> Iterator[Hub]:
    """A Hub of this version that knows what its users used."""
    now = int(time.time()) // 60 * 60
    days = 7 * 24 * HOUR

    def used(name: str, hours: int, gib: float, gpus: int) -> Pod:
        start = now - 26 * HOUR
        end = start + hours * HOUR
        memory = gib * GIB
        return Pod(name, start + 60, end - 60, f"jupyter-{name}", name, memory=memory, gpus=gpus)

    pods = [
        used("ada", 8, 4, 1),
        used("ben", 5, 4, 1),
        used("cleo", 6, 15, 0),
        used("eve", 8, 15, 0),
    ]
    (directory / "prometheus").mkdir()
    spans = [*hub_pod(now - days, now), *(span for pod in pods for span in pod.spans)]
    backfill(directory / "prometheus", spans)
    prometheus, url = start_prometheus(directory / "prometheus")
    config = f"""
from jupyterhub_usage_quotas import setup_usage_quotas
setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {url!r}
c.UsageConfig.hub_namespace = {NAMESPACE!r}
c.UsageConfig.stale_after = 7200.0
c.UsageQuotaManager.policy = {POLICIES!r}
""" + choosing(PROFILES, ["ada", "ben"])
    with prometheus, running_hub(directory / "hub", version, config) as running:
        visitor = Visitor(running.url, "ben")
        visitor.wait_until(lambda: "GPU 3 h left" in visitor.http.get("/hub/home").text)
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = patient_context(
        browser, timezone_id="Europe/Zurich", locale="en-GB", viewport=DESK, color_scheme="light"
    )
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda error: faults.append(str(error)))
    yield made
    context.close()
    assert faults == []


def log_in(page: Page, hub: Hub, name: str, path: str = "home") -> None:
    page.goto(f"{hub.url}/hub/login?next=/hub/{path}")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill("anything")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**/hub/{path}")


def open_launch_page(page: Page, hub: Hub, name: str) -> None:
    log_in(page, hub, name, f"spawn/{name}")
    expect(page.locator("#usage-quota-chip")).to_be_visible()


OURS = ("#usage-quota-chip", ".usage-quota-banner")
MARKS = (*OURS, "#spawn_form .usage-quota-mark")
ERROR = ("#usage-quota-chip", "div.error")


def assert_no_fault_of_access(page: Page, parts: Sequence[str] = OURS, how: str = "") -> None:
    """axe finds no fault in what is ours; the rest of the page is the Hub's.

    In the dark (`how`, as `everywhere` has it) only colours are other than in the light.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text())
    rules: Any = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    if how.endswith("-dark"):
        rules = ["color-contrast"]
    for part in parts:
        assert page.locator(part).count(), f"{part} is not there to be looked at"
    found = page.evaluate(
        "async ([parts, rules]) => (await axe.run({include: parts}, {runOnly: rules})).violations"
        ".map((one) => [one.id, one.nodes.map((node) => node.html)])",
        [list(parts), rules],
    )
    assert found == []


def everywhere(page: Page) -> Iterator[str]:
    """The page in light and dark, at a desk and on a phone."""
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
            yield f"{size['width']}-{scheme}"


def look_at_each_page(page: Page, hub: Hub) -> None:
    """Each page of the Hub that we add to, as a user comes by: no fault in any theme and size."""
    log_in(page, hub, "ada")
    for how in everywhere(page):
        assert_no_fault_of_access(page, how=how)
    page.goto(f"{hub.url}/hub/spawn/ada")
    expect(page.locator("#spawn_form .usage-quota-mark")).to_have_count(len(PROFILES))
    for how in everywhere(page):
        assert_no_fault_of_access(page, MARKS, how=how)
        picture(page, f"launch-{hub.version}-{how}", whole=True)
    page.set_viewport_size(DESK)
    page.locator("#profile-item-bme-gpu").check()
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".spawn-error-msg")).to_contain_text("You have used up your GPU quota")
    for how in everywhere(page):
        assert_no_fault_of_access(page, (*MARKS, ".spawn-error-msg"), how=how)
    page.goto(f"{hub.url}/hub/spawn-pending/ada")
    expect(page.locator(".usage-quota-alternatives li")).to_have_count(2)
    for how in everywhere(page):
        assert_no_fault_of_access(page, ("#usage-quota-chip", ".usage-quota-alternatives"), how=how)
        picture(page, f"pending-{hub.version}-{how}", whole=True)
    # Who has nothing to choose is told on the error page.
    page.context.clear_cookies()
    log_in(page, hub, "eve")
    page.locator("#start").click()
    expect(page.get_by_role("heading", name="Usage quota reached")).to_be_visible()
    for how in everywhere(page):
        assert_no_fault_of_access(page, ERROR, how=how)
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        picture(page, f"error-{hub.version}-{how}", whole=True)


def marks(page: Page) -> list[str]:
    return [one.inner_text() for one in page.locator("#spawn_form .usage-quota-mark").all()]


def test_each_profile_has_its_mark_in_the_time_zone_of_the_browser(page: Page, hub: Hub):
    open_launch_page(page, hub, "ada")
    label = page.locator("label[for=profile-item-bme-gpu]")
    told = page.locator("#usage-quota-policies time")
    minimal, large, gpu = marks(page)
    assert minimal == "Could run for 34h"
    assert large == "Could run for 4h 15m"
    # Ada's eight GPU-hours began 26 hours ago; half an hour of them has to go.
    at = datetime.fromisoformat(told.get_attribute("datetime")).astimezone(ZURICH)
    assert re.fullmatch(rf"Not before {at:%a} \d\d:\d\d", gpu)
    assert told.inner_text() == f"{at:%a %H:%M}"
    assert told.get_attribute("title").endswith("UTC")
    picture(page, "launch")
    # It belongs to the profile for who hears the page, too, and clicking it chooses the profile.
    expect(label).to_contain_text("Not before")
    start = page.get_by_role("button", name="Start")
    expect(start).to_have_accessible_description("")
    label.locator(".usage-quota-mark").click()
    expect(page.locator("#profile-item-bme-gpu")).to_be_checked()
    # So does the button, before it is pressed, and only while that is selected.
    expect(start).to_have_accessible_description(gpu)
    expect(page.locator("#usage-quota-not-now")).to_have_text(gpu)
    page.locator("#spawn_form input[type=radio][name=profile]").first.check()
    expect(page.locator("#usage-quota-not-now")).to_have_text("")
    page.locator("#profile-item-bme-gpu").check()
    # The same is not said twice.
    expect(page.locator("#usage-quota-profiles")).to_be_hidden()


def test_without_scripts_there_is_a_table(browser: Browser, hub: Hub):
    visitor = Visitor(hub.url, "ada")
    cookies = [
        {"name": one.name, "value": one.value, "url": f"{hub.url}/hub/"}
        for one in visitor.http.cookies.jar
        if one.path == "/hub/"
    ]
    context = patient_context(browser, java_script_enabled=False, viewport=DESK)
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto(f"{hub.url}/hub/spawn/ada")
    expect(page.locator("#usage-quota-profiles")).to_be_visible()
    expect(page.locator("[data-profile=bme-gpu]")).to_contain_text("Not before")
    expect(page.locator("#usage-quota-chip time")).to_contain_text("UTC")
    picture(page, "launch-without-scripts", whole=True)
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("name", ["ada", "ben", "cleo"])
def test_it_can_be_read_in_any_theme_and_size(page: Page, hub: Hub, name, size, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    log_in(page, hub, name)
    expect(page.locator("#usage-quota-chip")).to_be_in_viewport()
    expect(page.locator(".usage-quota-banner")).to_be_visible()
    assert_no_fault_of_access(page)
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    picture(page, f"home-{name}-{size['width']}-{scheme}")


def test_the_launch_page_on_a_phone(page: Page, hub: Hub):
    page.set_viewport_size(PHONE)
    open_launch_page(page, hub, "ada")
    assert_no_fault_of_access(page)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    picture(page, "launch-phone", whole=True)


def test_each_page_can_be_read_in_any_theme_and_size(page: Page, hub: Hub):
    look_at_each_page(page, hub)


def test_each_page_can_be_read_on_jupyterhub_5(page: Page, tmp_path: Path):
    with hub_of(tmp_path, "5") as hub:
        look_at_each_page(page, hub)


def test_the_chip_leads_to_the_dashboard_by_keyboard(page: Page, hub: Hub):
    log_in(page, hub, "ben")
    chip = page.locator("#usage-quota-chip")
    expect(chip).to_have_text(re.compile(r"Usage quota:\s+GPU 3 h left"))
    chip.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/services/usage-quota/")


def test_after_a_denial_the_page_says_what_else_could_be_started(page: Page, hub: Hub):
    open_launch_page(page, hub, "ada")
    page.locator("#profile-item-bme-gpu").check()
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".spawn-error-msg")).to_contain_text("You have used up your GPU quota")
    assert marks(page)[:2] == ["Could run for 34h", "Could run for 4h 15m"]
    page.goto(f"{hub.url}/hub/spawn-pending/ada")
    offered = page.locator(".usage-quota-alternatives li")
    expect(offered).to_have_text(["Minimal environment for 34h", "Large memory for 4h 15m"])
    # The header and the text name one time.
    (until,) = {one.get_attribute("datetime") for one in page.locator("time").all()}
    assert until
    picture(page, "denied-with-alternatives")
