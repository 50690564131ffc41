"""Around the pages of the dashboard: the services menu, the chip; and the API for people."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bs4 import BeautifulSoup

from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage
from tests.support.viewer import PREFIX, Viewer, running_viewer, the_minute, token_of

MENU = [
    {"name": "usage-quota", "href": PREFIX, "everyone": True},
    {"name": "grades", "href": "/hubs/one/services/grades/", "groups": ["lecturers"]},
    {"name": "for-bob", "href": "/hubs/one/services/for-bob/", "users": ["bob"]},
    {"name": "<b>admins", "href": "https://grafana.example.org/"},
]
MEMORY = {
    "name": "memory-week",
    "resource": "memory",
    "limit": "8 GiB-hours",
    "window": 7,
    "scope": {"group": ["students"]},
}
SECTIONS = {"UsageQuotaManager": {"policy": [MEMORY]}, "UsageViewer": {"services_menu": MENU}}
GIB_HOUR = 1024.0**3 * 3600


def used(gib_hours: float) -> Fresh:
    now = the_minute()
    bucket = Bucket(now.timestamp() - 7200, now.timestamp() - 3600, gib_hours * GIB_HOUR)
    return Fresh(Usage((bucket,), now, 1.0))


@pytest.fixture(scope="module")
def viewer() -> Iterator[Viewer]:
    with running_viewer(SECTIONS) as running:
        running.hub.add_user("ada", "students")
        running.hub.add_user("bob", "lecturers")
        running.hub.add_user("admin", admin=True)
        running.meter.readings = {"ada": {"memory": used(3)}, "bob": {"memory": used(8)}}
        yield running


def page(viewer: Viewer, name: str, path: str = "", **headers: str) -> BeautifulSoup:
    answer = viewer.get(path, token_of(name), headers=headers)
    assert answer.status_code == 200
    return BeautifulSoup(answer.text, "html.parser")


@pytest.mark.parametrize(
    ("name", "opens"),
    [
        ("ada", ["usage-quota"]),
        ("bob", ["usage-quota", "grades", "for-bob"]),
        ("admin", ["usage-quota", "grades", "for-bob", "<b>admins"]),
    ],
)
def test_the_menu_has_the_services_that_a_visitor_may_open(viewer, name, opens):
    links = page(viewer, name).select("nav .dropdown-menu .dropdown-item")
    found = {one.get_text(): one["href"] for one in links}
    assert {one: found.get(one) for one in opens} == {
        one["name"]: one["href"] for one in MENU if one["name"] in opens
    }
    assert not {one["name"] for one in MENU} - set(opens) & set(found)


def test_every_page_has_the_chip_of_its_visitor(viewer):
    for path in ("", "users/ada"):
        chip = page(viewer, "ada", path).select_one("header #usage-quota-chip, #usage-quota-chip")
        assert " ".join(chip.get_text().split()) == "Usage quota: Memory 5 GiB-hours left"
        assert chip["href"] == PREFIX
    # Whoever is looked at, it is about who looks; no quota limits an admin here.
    assert page(viewer, "admin", "users/ada").select_one("#usage-quota-chip") is None
    assert page(viewer, "admin", "users").select_one("#usage-quota-chip") is None


def test_the_chip_is_brought_up_to_date_with_the_rest(viewer):
    part = page(viewer, "ada", **{"X-Usage-Quota-Part": "live"})
    assert part.select_one("#usage-quota-chip")
    assert part.select_one("#usage-quota-live")


def test_who_leaves_the_header_alone_has_no_chip_here_either():
    sections = {"UsageQuotaManager": {"policy": [MEMORY], "show_in_header": False}}
    with running_viewer(sections) as running:
        running.hub.add_user("ada", "students")
        assert page(running, "ada").select_one("#usage-quota-chip") is None


# --- the API for people ---------------------------------------------------------------------------

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("path", ["api/v1/", "api/v1"])
def test_people_find_a_page_that_lists_the_api(viewer, path):
    shown = page(viewer, "ada", path, Accept=BROWSER)
    described = viewer.get("api/v1/openapi.json").json()
    listed = [one.get_text() for one in shown.select("main dt code")]
    assert listed == [
        f"{method.upper()} {path.lstrip('/')}"
        for path, methods in described["paths"].items()
        for method in methods
    ]
    assert {"GET adjustments", "POST adjustments"} <= {*listed}
    said = shown.select_one("main").get_text()
    for methods in described["paths"].values():
        assert all(operation["summary"] in said for operation in methods.values())
    for link in shown.select("main dt a"):
        answer = viewer.get(link["href"].removeprefix(PREFIX), token_of("admin"))
        assert answer.status_code == 200, link
    assert len(shown.select("main dt a")) >= 3


def test_programs_get_the_description_there(viewer):
    answer = viewer.get("api/v1/")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == viewer.get("api/v1/openapi.json").json()
    assert "Accept" in answer.headers["Vary"]


def test_people_who_are_not_logged_in_are_sent_to_log_in(viewer):
    answer = viewer.get("api/v1/", headers={"Accept": BROWSER})
    assert answer.status_code == 302
    assert "/hub/api/oauth2/authorize" in answer.headers["Location"]


def test_numbers_come_before_names_in_tables(viewer):
    """On a phone whatever is further right has to be scrolled to."""
    lab = ServerAttributes("big", "Big", "lab")
    now = the_minute()
    bucket = Bucket(now.timestamp() - 7200, now.timestamp() - 3600, GIB_HOUR, lab)
    viewer.meter.readings["cleo"] = {"memory": Fresh(Usage((bucket,), now, 1.0))}
    viewer.hub.add_user("cleo", "students")
    users = page(viewer, "admin", "users").select(".usage-quota-users thead th")
    heads = [one.get_text().strip(" ↑\n") for one in users]
    assert heads == ["User", "State", "Used", "Remaining", "Allowance", "Policy"]
    sessions = page(viewer, "cleo").select(".usage-quota-sessions thead th")
    heads = [one.get_text().partition(" ")[0] for one in sessions]
    assert heads == ["Server", "Memory", "From", "To", "Profile"]
    row = page(viewer, "cleo").select(".usage-quota-sessions tbody tr")[0]
    said = [" ".join(one.get_text().split()) for one in row.select("th, td")]
    assert (said[0], said[1], said[-1]) == ("lab", "1 GiB-hour", "Big")
