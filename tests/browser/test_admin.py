"""Giving more as teachers do: a real Hub, a real browser, a phone on Sunday evening."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.hub import Hub, running_hub
from tests.support.ports import free_port
from tests.support.visitor import Visitor

from .conftest import patient_context, picture
from .looks import PHONE, everywhere, faults, no_horizontal_scroll, too_wide

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = "http://127.0.0.1:9"  # nobody is there
c.UsageConfig.hub_namespace = "giving-more"
c.UsageConfig.deadline = 1
c.UsageConfig.request_timeout = 1
students = {"group": ["course"]}
c.UsageQuotaManager.policy = [
    {"name": "course-time", "resource": "time", "limit": "0 hours", "window": 7, "scope": students},
    {"name": "course-memory", "resource": "memory", "limit": "20 GiB-hours", "window": 7,
     "scope": students},
    {"name": "lab-week", "resource": "time", "limit": "0 hours", "window": {"calendar": "week"},
     "scope": {"group": ["lab"]}},
]
c.UsageQuotaManager.grant_limits = {"course-time": "5 hours"}
c.UsageQuotaManager.may_grant = {"lecturers": ["course"]}
c.JupyterHub.load_groups = {
    "course": {"users": ["ada", "ben", "cleo", "x" * 60]},
    "lecturers": {"users": ["lea"]},
    "lab": {"users": ["zoe"]},
}
"""
SERVICE = "/services/usage-quota"


@dataclass
class Course:
    """A Hub with a course and its teacher."""

    hub: Hub
    browser: Browser
    logins: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def opened(self, name: str, path: str = "/", **options: Any) -> Iterator[Page]:
        """A page of the dashboard on somebody's phone; nothing on it breaks a policy of its own."""
        if name not in self.logins:
            visitor = Visitor(self.hub.url, name)
            assert visitor.http.get(f"{SERVICE}/").is_success
            self.logins[name] = {
                "cookies": [
                    {"name": one.name, "value": one.value, "domain": "127.0.0.1", "path": one.path}
                    for one in visitor.http.cookies.jar
                ]
            }
        given = {"viewport": PHONE, "timezone_id": "Europe/Zurich", "locale": "en-GB"}
        given |= {"reduced_motion": "reduce", "storage_state": self.logins[name]} | options
        context = patient_context(self.browser, **given)
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text))
        page.goto(f"{self.hub.url}{SERVICE}{path}", wait_until="load")
        yield page
        context.close()
        assert [one for one in complaints if "Content Security" in one] == []


@pytest.fixture(scope="module")
def course(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    with running_hub(tmp_path_factory.mktemp("hub"), "6", CONFIG, free_port()) as hub:
        hub.program.wait_for_url(f"{hub.url}{SERVICE}/api/v1/openapi.json")
        admin = Visitor(hub.url, "admin")
        made = admin.api("POST", "/users", json={"usernames": ["cleo", "x" * 60]})
        assert made.status_code in {201, 409}, made.text
        yield Course(hub, browser)


def is_launched(student: Visitor, wanted: bool) -> None:
    """A launch is allowed, or is not, within some seconds."""
    began = time.monotonic()
    while student.api("POST", f"/users/{student.username}/server").is_success is not wanted:
        assert time.monotonic() < began + 60


def give(page: Page, amount: str, reason: str) -> None:
    page.get_by_label("How much more").fill(amount)
    page.get_by_label("Why; the user reads it, too").fill(reason)
    page.get_by_role("button", name="Give", exact=True).click()


@pytest.mark.parametrize(("name", "script"), [("ada", True), ("ben", False)])
def test_a_teacher_gives_on_a_phone_the_student_starts_and_it_is_taken_back(
    course: Course, name: str, script: bool
):
    student = Visitor(course.hub.url, name)
    is_launched(student, wanted=False)
    with course.opened("lea", java_script_enabled=script) as page:
        page.get_by_role("link", name="Give more").click()
        page.get_by_label("Name contains").fill(name[:2])
        page.get_by_role("button", name="Search").click()
        expect(page.locator("tbody[data-user]")).to_have_count(1)
        picture(page, "admin-found")
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_label("Server time in the last 7 days")).to_be_checked()
        # More than a teacher may: it is said beside the field, and what was typed is still there.
        give(page, "6", "ill on Sunday")
        fault = page.locator("#usage-quota-amount-fault")
        expect(fault).to_contain_text("you can give up to 5h")
        expect(page.get_by_label("Why; the user reads it, too")).to_have_value("ill on Sunday")
        picture(page, "admin-too-much", whole=True)
        page.get_by_label("How much more").fill("2")
        page.get_by_role("button", name="Give", exact=True).click()
        done = page.locator("#usage-quota-done")
        expect(done).to_contain_text(f"Given to {name}: 2h more (course-time), until ")
        expect(done).to_contain_text("ill on Sunday")
        picture(page, "admin-given", whole=True)
        is_launched(student, wanted=True)
        student.wait_until_ready()
        student.stop()
        done.get_by_role("button", name="Take back").click()
        expect(page.locator("#usage-quota-done")).to_contain_text(
            f"Taken back from {name}: 2h more"
        )
        is_launched(student, wanted=False)


def test_several_are_given_more_at_once_after_a_look_at_whom_it_reaches(course: Course):
    with course.opened("lea", "/admin?group=course&sort=name") as page:
        page.get_by_label("Select ada").check()
        page.get_by_label("Select cleo").check()
        page.get_by_role("button", name="Give more to those selected").click()
        expect(page.get_by_role("heading", name="It reaches 2 users")).to_be_visible()
        expect(page.locator(".usage-quota-reached li")).to_have_count(2)
        picture(page, "admin-several", whole=True)
        for how in everywhere(page):
            assert faults(page, how) == [], how
            assert too_wide(page) == [], how
        page.get_by_label("Memory in the last 7 days").check()
        page.get_by_label("How much more").fill("1")
        page.get_by_label("Why; the user reads it, too").fill("a deadline")
        page.get_by_role("button", name="Give to 2 users").click()
        done = page.locator("#usage-quota-done")
        expect(done).to_contain_text("Given to 2 users: 1 GiB-hour more (course-memory)")
        done.get_by_role("button", name="Take back").click()
        expect(page.locator("#usage-quota-done")).to_contain_text("Taken back from 2 users")
        page.goto(f"{course.hub.url}{SERVICE}/admin?group=course")
        page.get_by_role("link", name="Give more to the whole group course").click()
        expect(page.locator(".usage-quota-reached li")).to_have_count(4)


def test_an_admin_sets_another_budget_for_this_week_and_takes_it_back(course: Course):
    student = Visitor(course.hub.url, "zoe")
    is_launched(student, wanted=False)
    with course.opened("admin", "/admin", java_script_enabled=False) as page:
        page.get_by_role("link", name="Budgets").click()
        page.get_by_text("Set another budget").click()
        page.get_by_label("Budget of each user, in hours").fill("10")
        page.get_by_label("Why; all users read it, too").fill("a deadline")
        page.get_by_role("button", name="Set for everyone").click()
        done = page.locator("#usage-quota-done")
        expect(done).to_contain_text("For everyone: 10h instead (lab-week), until ")
    is_launched(student, wanted=True)
    student.wait_until_ready()
    student.stop()
    with course.opened("admin", "/admin/budgets") as page:
        for how in everywhere(page):
            assert faults(page, how) == [], how
            assert too_wide(page) == [], how
            picture(page, f"budgets-{how.replace(' ', '-')}", whole=True)
        page.get_by_role("button", name="Take back").click()
        expect(page.locator("#usage-quota-done")).to_contain_text("Taken back for everyone: 10h")
    is_launched(student, wanted=False)


def test_by_keyboard_alone(course: Course):
    with course.opened("lea", "/admin") as page:
        page.get_by_label("Name contains").focus()
        page.keyboard.type("cle")
        page.keyboard.press("Enter")
        link = page.get_by_role("link", name="cleo", exact=True)
        tab_to(page, link)
        page.keyboard.press("Enter")
        tab_to(page, page.get_by_label("Server time in the last 7 days"))
        page.keyboard.press("ArrowDown")
        expect(page.get_by_label("Memory in the last 7 days")).to_be_checked()
        tab_to(page, page.get_by_label("How much more"))
        page.keyboard.type("1.5")
        tab_to(page, page.get_by_label("Why; the user reads it, too"))
        page.keyboard.type("by keyboard")
        tab_to(page, page.get_by_role("button", name="Give", exact=True))
        page.keyboard.press("Enter")
        done = page.locator("#usage-quota-done")
        expect(done).to_contain_text("1.5 GiB-hours more (course-memory)")
        tab_to(page, done.get_by_role("button", name="Take back"))
        page.keyboard.press("Enter")
        expect(page.locator("#usage-quota-done")).to_contain_text("Taken back from cleo")


def tab_to(page: Page, wanted: Any) -> None:
    """Go on by the Tab key until something has the focus, which a person sees."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === document.activeElement"):
            assert wanted.evaluate("one => one.matches(':focus-visible')")
            return
    raise AssertionError("the Tab key does not lead there")


def test_axe_finds_nothing_serious_in_any_theme_and_size(course: Course):
    with course.opened("admin", "/admin") as page:
        for how in everywhere(page):
            assert faults(page, how) == [], how
            assert too_wide(page) == [], how
        page.goto(f"{course.hub.url}{SERVICE}/admin/users/{'x' * 60}")
        give(page, "3", "  ")
        expect(page.locator("#usage-quota-problem")).to_be_visible()
        for how in everywhere(page):
            assert faults(page, how) == [], how
            assert too_wide(page) == [], how
        give(page, "3", "y" * 300)
        expect(page.locator("#usage-quota-done")).to_be_visible()
        for how in everywhere(page):
            assert faults(page, how) == [], how
            assert no_horizontal_scroll(page), how
        picture(page, "admin-dark", whole=True)
