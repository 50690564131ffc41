"""Students whose time runs out, each in JupyterLab: one is given more in time, one does nothing.

Real Hubs with a real policy and the session log, real single-user servers with the extension, a
real browser. Nothing on the way between them is changed.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.adjusting import run
from tests.support.giver import Giver
from tests.support.hub import PYTHONS, Hub, running_hub
from tests.support.visitor import Visitor

from .conftest import patient_context, picture
from .lab import installed, log_in, type_into_a_file

pytestmark = pytest.mark.waits

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.usage_source = "sessions"
c.UsageConfig.session_heartbeat = 1
c.UsageConfig.refresh_interval = 3
c.UsageConfig.hub_namespace = "running-out"
c.UsageQuotaManager.policy = [
    {{"name": "course", "resource": "time", "limit": "10 hours", "window": 7,
      "scope": {{"group": ["course"]}}, "when_exhausted": "stop"}}
]
c.UsageQuotaManager.grace = "2 minutes"
c.UsageQuotaManager.guard_readings = 2
c.UsageQuotaManager.may_grant = {{"lecturers": ["course"]}}
c.JupyterHub.load_groups = {{
    "course": {{"users": ["lina", "bo"]}}, "lecturers": {{"users": ["tutor"]}}
}}
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.default_url = "/lab"
c.Spawner.environment = {environment!r}
c.Spawner.args = ["--ServerApp.allow_root=True"] if os.geteuid() == 0 else []
"""
TYPED = "what nobody saved by hand"
ITEM = ".jp-usage-quotas-item button"


@dataclass(frozen=True)
class Course:
    """A Hub whose students have JupyterLab."""

    hub: Hub
    folder: Path

    def decide(self, kind: str, *arguments: str) -> None:
        """Let a teacher decide something by the command line."""
        config = str(self.folder / "jupyterhub_config.py")
        common = ("--until", "1d", "--reason", "an exam", "--actor", "tutor", "--config", config)
        # Not in this thread, which has Playwright's event loop.
        with ThreadPoolExecutor(1) as pool:
            said = pool.submit(run, kind, *arguments, *common).result()
        assert said.code == 0, said.err

    def watched(self, student: Visitor) -> Mapping[str, Any]:
        """Where the guard has a student's server."""
        said = student.api("GET", f"/usage-quotas/users/{student.username}").json()
        servers = said["servers"]
        return servers[0]["watched"] if servers else {}

    def leave(self, time: timedelta, *students: Visitor) -> None:
        """Let so much time be left to students who have one server, their first."""
        for one in students:
            started = datetime.fromisoformat(one.servers()[""]["started"])
            seconds = (datetime.now(UTC) + time - started).total_seconds()
            limit = f"{seconds / 3600:.5f} hours"
            who = ("--user", one.username, "--policy", "course", "--limit", limit)
            self.decide("override", *who)

    def ended(self, name: str) -> datetime:
        """When a student's server ended, by the Hub's session log."""
        with sqlite3.connect(self.folder / "usage-quotas.sqlite") as connection:
            query = "SELECT ended FROM usage_quotas_sessions WHERE username = ?"
            (row,) = connection.execute(query, (name,)).fetchall()
        return datetime.fromtimestamp(row[0] / 1e6, UTC)

    def written(self, name: str) -> str:
        """What is in the file of a student, on the disk."""
        return (self.folder / "home" / name / "untitled.txt").read_text()


@contextmanager
def running_course(folder: Path, version: str) -> Iterator[Course]:
    """A course; its students' JupyterLab saves nothing unless something asks it to."""
    environment = installed(folder / "image")
    del environment["JUPYTERLAB_WORKSPACES_DIR"]  # each student has their own
    settings = {
        "docmanager-extension/plugin": {"autosave": False},
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    }
    for name, content in settings.items():
        file = folder / f"image/settings/@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(content))
    config = CONFIG.format(python=sys.executable, environment=environment)
    with running_hub(folder, version, config) as hub:
        yield Course(hub, folder)


@pytest.fixture(scope="module", params=PYTHONS)
def course(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    with running_course(tmp_path_factory.mktemp("course"), request.param) as running:
        yield running


@contextmanager
def at_work(browser: Browser, course: Course, name: str) -> Iterator[tuple[Visitor, Page]]:
    """A student who has typed into a file in JupyterLab, and not saved it."""
    student = Visitor(course.hub.url, name)
    assert student.start_by_api().is_success
    student.wait_until_ready()
    context = patient_context(
        browser, viewport={"width": 1280, "height": 800}, timezone_id="UTC", locale="en-GB"
    )
    lab = context.new_page()
    log_in(lab, course.hub.url, name)
    type_into_a_file(lab, TYPED)
    yield student, lab
    context.close()


def test_one_is_given_more_in_time_and_one_is_warned_saved_stopped_and_shown_why(
    course: Course, browser: Browser
):
    with ExitStack() as stack:
        lina, lab = stack.enter_context(at_work(browser, course, "lina"))
        bo, labs_bo = stack.enter_context(at_work(browser, course, "bo"))
        tutor = Giver(course.hub.url, "tutor")
        expect(lab.locator(ITEM)).to_contain_text("Server time 9")
        picture(lab, "running-out-1-ok")
        # A second tab of hers on a computer that falls asleep now: it learns of nothing.
        asleep = lab.context.new_page()
        asleep.goto(f"{course.hub.url}/user/lina/lab")
        asleep.locator(ITEM).wait_for()
        asleep.route("**/usage-quotas/api/status*", lambda route: route.abort())
        course.leave(timedelta(minutes=29), lina, bo)
        for one in (lab, labs_bo):
            expect(toast(one, "can run until")).to_have_count(1)
        picture(lab, "running-out-2-warned")
        assert course.written("lina") == ""
        course.leave(timedelta(0), lina, bo)
        for student in (lina, bo):
            Visitor.wait_until(lambda who=student: course.watched(who)["state"] == "grace")
        promised = datetime.fromisoformat(course.watched(lina)["stops_at"])
        expect(toast(labs_bo, "is stopped at")).to_have_count(1)
        answer = tutor.give("course", "bo", "1 hour")
        given = time.monotonic()
        assert answer.status_code == 201, answer.text
        Visitor.wait_until(lambda: course.watched(bo)["state"] != "grace")
        print(f"A grant ended a grace after {time.monotonic() - given:.2f} s")
        # What was said before is taken back; what takes its place goes by itself.
        expect(toast(labs_bo, "is stopped at")).to_have_count(0)
        picture(labs_bo, "running-out-7-extended")
        expect(toast(lab, "is stopped at")).to_have_count(1)
        expect(toast(lab, "can run until")).to_have_count(0)
        expect(lab.locator(ITEM)).to_contain_text("stops")
        picture(lab, "jupyterlab-grace")
        Visitor.wait_until(lambda: course.written("lina") == TYPED)
        picture(lab, "running-out-4-saved")
        Visitor.wait_until(lambda: not lina.servers())
        dialog = lab.locator(".jp-Dialog", has_text="Your server was stopped")
        expect(dialog).to_contain_text("Nothing is left of “course”")
        expect(dialog).to_contain_text("What was open was saved before.")
        expect(dialog).to_contain_text("It can start again from")
        picture(lab, "jupyterlab-why")
        expect(asleep.locator(".jp-Dialog")).to_contain_text("Nothing is left of “course”")
        expect(asleep.locator(".jp-Dialog")).to_contain_text("It can start again from")
        ended = course.ended("lina")
        assert ended >= promised
        print(f"A server was stopped {(ended - promised).total_seconds():.2f} s after it was said")
        dialog.locator("button.jp-mod-accept").click()
        lab.wait_for_url("**/hub/home")
        expect(lab.locator("[data-kind=stopped]")).to_contain_text("Your server was stopped")
        picture(lab, "running-out-6-home")
        # The other was left alone.
        expect(labs_bo.locator(ITEM)).not_to_contain_text("stops in")
        assert bo.servers()[""]["ready"]


def toast(lab: Page, text: str) -> Locator:
    """A notification that JupyterLab shows."""
    return lab.locator(".Toastify__toast", has_text=text)
