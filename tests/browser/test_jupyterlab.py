"""A student in JupyterLab: sees what is left, is warned, switches profiles, reads why it stopped.

A real Hub, its real single-user servers with the extension as it is installed into images, and a
real browser.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.hub import Hub, running_hub
from tests.support.profile_form import choosing, profile
from tests.support.recorded_hub import Recorded, quotas
from tests.support.visitor import Visitor

from .conftest import patient_context, picture
from .lab import installed, log_in, type_into_a_file

PROFILES = [
    profile("CPU", 1, slug="cpu", default=True),
    profile("<b>GPU</b>", 2, slug="gpu"),
    profile("Huge", 16, slug="huge"),
]
CONFIG = """
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.default_url = "/lab"
c.Spawner.environment = {environment!r}
c.Spawner.args = ["--ServerApp.allow_root=True"] if os.geteuid() == 0 else []
c.UsageConfig.refresh_interval = 3.0
c.UsageQuotaManager.policy[0]["minimum_session"] = "1h"
c.UsageViewer.enabled = False
"""
STATUS = "**/usage-quotas/api/status*"


@pytest.fixture(scope="module")
def hub(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Path]]:
    folder = tmp_path_factory.mktemp("jupyterlab")
    environment = installed(folder / "image")
    config = quotas(recorded) + choosing(PROFILES, ["within"])
    config += CONFIG.format(python=sys.executable, environment=environment)
    with running_hub(folder, "6", config) as running:
        yield running, folder


@pytest.fixture(scope="module")
def student(hub: tuple[Hub, Path]) -> Visitor:
    """A student with a running server."""
    visitor = Visitor(hub[0].url, "within")
    assert visitor.api("POST", "/users/within/server", json={"profile": "cpu"}).is_success
    visitor.wait_until_ready()
    return visitor


@pytest.fixture
def lab(browser: Browser, hub: tuple[Hub, Path], student: Visitor) -> Iterator[Page]:
    context = patient_context(
        browser, viewport={"width": 1280, "height": 800}, timezone_id="UTC", locale="en-GB"
    )
    page = context.new_page()
    log_in(page, hub[0].url, "within")
    yield page
    context.close()


def test_a_student_sees_what_is_left_and_switches_profiles_and_back(
    hub: tuple[Hub, Path], student: Visitor, lab: Page
):
    item = lab.locator(".jp-usage-quotas-item button")
    # Two of eight were used before; the server of one GiB can run for six hours, and runs.
    left = r"(6|5\.\d+) GiB-hours left"
    expect(item).to_contain_text(re.compile(rf"Memory {left} · 5h"))
    item.click()
    panel = lab.locator("#jp-usage-quotas-panel")
    expect(panel).to_be_visible()
    expect(panel.locator(".jp-usage-quotas-quota")).to_contain_text(
        re.compile(f"{left} of 8 GiB-hours")
    )
    gpu = panel.locator("[data-profile=gpu]")
    expect(gpu).to_contain_text("<b>GPU</b>")
    # In place of the server that runs: two GiB for three hours.
    expect(gpu).to_contain_text(re.compile(r"could run for (3h|2h \d+m)"))
    expect(panel.locator("[data-profile=cpu]")).to_contain_text("runs now")
    expect(panel.locator("[data-profile=huge] button")).to_be_disabled()
    picture(lab, "jupyterlab")
    type_into_a_file(lab, "typed before the switch")
    other = lab.context.new_page()
    other.goto(f"{hub[0].url}/user/within/lab")
    other.locator(".jp-usage-quotas-item button").wait_for()
    type_into_a_file(other, "typed in another tab")
    other.evaluate("window.ofBefore = true")
    _switch(lab, "gpu")
    student.wait_until(lambda: _profile(student) == "gpu")
    # The browser has followed to the new server, where what was typed is.
    lab.locator(".jp-usage-quotas-item button").wait_for()
    written = hub[1] / "home/within/untitled.txt"
    assert written.read_text() == "typed before the switch"
    # So has the other tab, in which everything was saved, too.
    other.wait_for_function("!window.ofBefore")
    other.locator(".jp-usage-quotas-item button").wait_for()
    assert written.with_name("untitled1.txt").read_text() == "typed in another tab"
    other.close()
    lab.locator(".jp-usage-quotas-item button").click()
    _switch(lab, "cpu")
    student.wait_until(lambda: _profile(student) == "cpu")
    lab.locator(".jp-usage-quotas-item button").wait_for()


def _profile(student: Visitor) -> str:
    server = student.servers().get("", {})
    return server["user_options"]["profile"] if server.get("ready") else ""


def _switch(lab: Page, slug: str) -> None:
    lab.locator(f"[data-profile={slug}] button").click()
    dialog = lab.locator(".jp-Dialog")
    expect(dialog).to_contain_text("All kernels end")
    picture(lab, "jupyterlab-switch")
    dialog.locator("button.jp-mod-accept").click()


def test_the_token_never_reaches_the_page(student: Visitor, lab: Page):
    with lab.expect_response(STATUS) as response:
        lab.reload()
    said = response.value.json()
    assert set(said) == {"now", "server", "quotas", "problem"}
    assert "token" not in json.dumps(said)
    lab.locator(".jp-usage-quotas-item button").wait_for()


def test_warnings_are_shown_once_and_the_dialog_says_why(
    hub: tuple[Hub, Path], student: Visitor, lab: Page
):
    """The Hub's answer is changed on the way as if a guard was about to stop the server."""
    stops = datetime.now(UTC) + timedelta(seconds=50)
    from_then = datetime.now(UTC) + timedelta(hours=3)

    def about_to_stop(route: Route) -> None:
        answer = route.fetch()
        said = answer.json()
        if not said.get("quotas"):
            route.fulfill(response=answer)  # the server is gone
            return
        quotas = said["quotas"]
        quotas["stops_servers"] = True
        quotas["retry_time"] = from_then.isoformat()
        quotas["servers"][0]["watched"] = {
            "state": "grace",
            "certain": True,
            "over_since": None,
            "exhausted_at": None,
            "stops_at": stops.isoformat(),
            "policies": ["memory <week>"],
        }
        notice = {"id": "one", "server": "", "policy": "memory <week>", "kind": "grace"}
        notice |= {"until": stops.isoformat(), "text": "Your <b>server</b> is stopped soon."}
        quotas["notices"] = [notice]
        route.fulfill(response=answer, json=said)

    lab.route(STATUS, about_to_stop)
    lab.reload()
    item = lab.locator(".jp-usage-quotas-item button")
    expect(item).to_contain_text("stops in")
    warnings = lab.locator(".Toastify__toast", has_text="Your <b>server</b> is stopped soon.")
    expect(warnings).to_have_count(1)
    # It is the last minute.
    expect(lab.locator(".Toastify__toast", has_text="What is open was saved.")).to_have_count(1)
    picture(lab, "jupyterlab-warning")
    lab.reload()
    expect(item).to_contain_text("stops in")
    expect(lab.locator(".Toastify__toast", has_text="is stopped soon")).to_have_count(0)
    student.stop()
    dialog = lab.locator(".jp-Dialog", has_text="Your server was stopped")
    expect(dialog).to_contain_text("Nothing is left of “memory <week>”")
    expect(dialog).to_contain_text(f"It can start again from {from_then:%a %H:%M}")
    picture(lab, "jupyterlab-stopped")
    dialog.locator("button.jp-mod-accept").click()
    lab.wait_for_url("**/hub/home")
