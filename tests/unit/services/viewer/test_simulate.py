"""The page on which limits are tried on the past: who may, what it says, and what it refuses."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from bs4 import BeautifulSoup

from jupyterhub_usage_quotas.conventions import SCOPE_GRANT, SCOPE_READ
from jupyterhub_usage_quotas.errors import PrometheusUnavailable
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Unknown
from jupyterhub_usage_quotas.services.viewer import trying
from jupyterhub_usage_quotas.services.viewer.trying import TooMuch, Trying
from tests.support.made_up import MadeUp, Session
from tests.support.viewer import ACCESS, PREFIX, Viewer, running_viewer, token_of

PATH = "admin/simulate"
HOUR = 3600.0
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
EVERYONE = {"everyone": True}
POLICY = {"name": "day", "resource": "time", "limit": "6 hours", "window": 1, "scope": EVERYONE}


def ran(start: float, end: float) -> Session:
    """A server that ran from so many hours ago until so many."""
    return Session(NOW.timestamp() - start * HOUR, NOW.timestamp() - end * HOUR, {"time": 1.0})


HAPPENED = {
    # Eight hours of six, and a launch six hours later: until three of them are a day ago.
    "ada": [ran(40, 32), ran(26, 25)],
    "=ben": [ran(26, 25)],
    "gone": [ran(26, 2)],
}


def meter_of(source: MadeUp) -> Meter:
    return Meter(PrometheusClient("http://nowhere.test"), [source])


@pytest.fixture(scope="module")
def viewer() -> Iterator[Viewer]:
    sections = {"UsageQuotaManager": {"policy": [POLICY]}}
    with running_viewer(sections, meter_of_past=meter_of(MadeUp(HAPPENED))) as running:
        running.hub.add_user("ada", "course")
        running.hub.add_user("=ben", "course", "lab")
        running.hub.add_user("root", admin=True)
        running.hub.add_token("reads", "reads", ACCESS, SCOPE_READ)
        running.hub.add_token("gives", "gives", ACCESS, SCOPE_GRANT)
        yield running


def asked(viewer: Viewer, token: str = "reads", **given: Any) -> httpx.Response:
    return viewer.get(PATH, token, params={"try": "yes", "days": "3"} | given)


def page(answer: httpx.Response, status: int = 200) -> BeautifulSoup:
    assert answer.status_code == status, answer.text
    return BeautifulSoup(answer.text, "html.parser")


def text(found: Any) -> str:
    return " ".join(found.get_text(" ").split())


@pytest.mark.parametrize(
    ("token", "status"),
    [(token_of("root"), 200), ("reads", 200), (token_of("ada"), 404), ("gives", 404)],
)
def test_only_those_who_see_everybody(viewer: Viewer, token: str, status: int):
    assert viewer.get(PATH, token).status_code == status
    assert asked(viewer, token).status_code == status


def test_the_form_says_nothing_before_it_was_sent(viewer: Viewer):
    found = page(viewer.get(PATH, "reads"))
    assert not found.select("#usage-quota-found")
    groups = [one["value"] for one in found.select("#usage-quota-group option")]
    assert groups == ["", "course", "lab"]
    links = {one["href"] for one in page(viewer.get("users", "reads")).select("nav a")}
    assert f"{PREFIX}{PATH}" in links


def test_the_configured_policies(viewer: Viewer):
    found = page(asked(viewer))
    (section,) = found.select('section[data-policy="day"]')
    assert "Users with a denied launch 1 of 2" in text(section)
    assert "Denied launches 1 of 3" in text(section)
    assert "The largest 9h" in text(section)
    # Ada had used eight hours when she started again.
    (suggested,) = section.select("strong")
    assert text(suggested) == (
        "8h 6m would have denied 0 % of the active users anything, and 0 % of launches."
    )
    (row,) = found.select("tr[data-user]")
    assert row["data-user"] == "ada"
    (shown,) = [one["datetime"] for one in row.select("time")][:1]
    assert datetime.fromisoformat(shown) == NOW - timedelta(hours=26)
    groups = {one["data-group"]: text(one) for one in found.select("tr[data-group]")}
    assert groups == {"course": "course 2 1 3 1", "lab": "lab 1 0 1 0"}


def test_nothing_is_worked_out_again_every_minute(viewer: Viewer):
    """A script of an open page requests only what changes on it."""
    given = {"try": "yes", "days": "3"}
    answer = viewer.get(PATH, "reads", params=given, headers={"X-Usage-Quota-Part": "1"})
    assert not page(answer).select("#usage-quota-found")


def test_a_limit_for_a_group_in_place_of_them(viewer: Viewer):
    more = {"limit": "30 minutes", "resource": "time", "window": "7", "group": "lab"}
    found = page(asked(viewer, **more))
    (section,) = found.select("section[data-policy]")
    assert "Users with a denied launch 0 of 1" in text(section)
    assert found.select_one("#usage-quota-limit")["value"] == "30 minutes"
    assert not found.select("tr[data-user]")
    assert "Nobody would have been denied anything." in text(found)


def test_policies_as_json(viewer: Viewer):
    stops = POLICY | {"name": "<b>", "when_exhausted": "stop"}
    answer = asked(viewer, policies=json.dumps([stops]))
    (section,) = page(answer).select("section[data-policy]")
    assert section["data-policy"] == "<b>"
    assert "<b>" not in answer.text.replace("&lt;b&gt;", "")
    assert "Stopped servers 1" in text(section)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"policies": "["}, "not JSON"),
        ({"policies": '[{"resource": "<memroy>"}]'}, "unknown resource"),
        ({"policies": '{"polcy": []}'}, "did you mean policy?"),
        ({"policies": "[" * 4000}, "not JSON"),
        ({"limit": "100 apples", "resource": "time"}, "policy[0].limit"),
        ({"limit": "1 hour", "resource": "nothing"}, "unknown resource"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(viewer, given, says):
    answer = asked(viewer, **given)
    found = page(answer, 400)
    assert says in text(found.select_one("#usage-quota-problem"))
    assert "<memroy>" not in answer.text
    typed = found.select_one("#usage-quota-policies").get_text().strip()
    assert typed == given.get("policies", "")


@pytest.mark.parametrize(
    "given",
    [{"days": "0"}, {"days": "91"}, {"share": "101"}, {"window": "8"}, {"policies": "x" * 8001}],
)
def test_parameters_out_of_bounds(viewer, given):
    (name,) = given
    found = page(asked(viewer, **given), 400)
    assert f"{name}: " in text(found)


def test_csv_without_formulas(viewer: Viewer):
    policy = POLICY | {"limit": "30 minutes", "servers": {"name": [""]}, "window": 7}
    twice = json.dumps([policy, POLICY | {"name": "none", "limit": "0 hours"}])
    answer = asked(viewer, policies=twice, format="csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [one["user"] for one in rows] == ["ada", "'=ben", "root"]
    assert [one["launches denied"] for one in rows] == ["2", "1", "0"]
    assert rows[0]["first denied at"] == f"{NOW - timedelta(hours=40):%Y-%m-%dT%H:%M:%SZ}"


def test_a_source_that_does_not_answer(caplog):
    failing = MadeUp({}, failure=PrometheusUnavailable("at http://secret:pw@10.0.0.7"))
    sections = {"UsageQuotaManager": {"policy": [POLICY]}}
    with running_viewer(sections, meter_of_past=meter_of(failing)) as running:
        running.hub.add_token("reads", "reads", ACCESS, SCOPE_READ)
        answer = asked(running)
        found = page(answer, 503)
        assert "is not known at the moment (unavailable)" in text(found)
        assert "10.0.0.7" not in answer.text


# --- bounds ---------------------------------------------------------------------------------------

READ = parse_policies([POLICY])
START = NOW - timedelta(days=3)


async def tried(trying_: Trying, users: int = 2, **more: Any) -> Any:
    subjects = [Subject(f"user-{number}") for number in range(users)]
    return await trying_.on_past(more.get("policies", READ), subjects, START, NOW, 0.05)


async def test_what_was_read_is_used_again_for_a_while(monkeypatch):
    made: list[Meter] = []

    def make() -> Meter:
        made.append(meter_of(MadeUp(HAPPENED)))
        return made[-1]

    one = Trying(make, NO_LEDGER)
    await asyncio.gather(*(tried(one) for _ in range(3)))
    assert len(made) == 1
    week = parse_policies([POLICY | {"window": 7}])
    await tried(one, policies=week)
    assert len(made) == 2, "it goes back farther"
    await tried(one)
    assert len(made) == 2
    monkeypatch.setattr(trying, "KEPT", -1.0)
    await tried(one)
    assert len(made) == 3, "it is too old"
    await one.aclose()


async def test_no_longer_than_a_visitor_waits(monkeypatch):
    one = Trying(lambda: meter_of(MadeUp(HAPPENED)), NO_LEDGER)
    monkeypatch.setattr(trying, "WORKED_OUT_WITHIN", -1.0)
    with pytest.raises(TooMuch):
        await tried(one)
    monkeypatch.setattr(trying, "USERS_AT_MOST", 1)
    with pytest.raises(TooMuch):
        await tried(one)
    await one.aclose()


async def test_what_was_read_in_time_is_what_is_known(monkeypatch):
    """A source that stops answering after the first piece, which is the newest."""

    class Slow(MadeUp):
        async def read(self, *given: Any) -> Any:
            if len(self.asked) > 0:
                await asyncio.Event().wait()
            return await super().read(*given)

    monkeypatch.setattr(trying, "READ_WITHIN", 0.2)
    one = Trying(lambda: meter_of(Slow(HAPPENED)), NO_LEDGER)
    found = await tried(one)
    assert not isinstance(found, Unknown)
    assert found.start > found.asked_from
    assert found.start == found.known_from
    await one.aclose()
