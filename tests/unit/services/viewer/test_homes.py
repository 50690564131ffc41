"""Home storage on a user's page and in the API: for one and for all, and never a zero by doubt."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup, Tag
from jsonschema import Draft202012Validator

from jupyterhub_usage_quotas.quotas.usage import Fresh, Stale, Unknown
from jupyterhub_usage_quotas.quotas.windows.gauge import GaugeReading
from tests.support.viewer import Viewer, running_viewer, the_minute, token_of

GIB = 1024**3
POLICY = {"name": "homes", "resource": "storage", "limit": "exported"}
MEASURED = the_minute() - timedelta(minutes=1)


def level(gib: float, limit: float | None, there: bool = True) -> GaugeReading:
    told = None if limit is None else limit * GIB
    return GaugeReading((), MEASURED, None, amount=gib * GIB, limit=told, there=there)


READINGS = {
    "within": Fresh(level(4, 10)),
    "short": Fresh(level(8.5, 10)),
    "over": Fresh(level(12, 10)),
    "endless": Fresh(level(1.5, math.inf)),
    "sized": Fresh(level(3, None)),
    "late": Stale(level(4, 10), "stale", "secret detail"),
    "new": Fresh(level(0, None, there=False)),
    "doubtful": Unknown("unreachable", "secret detail"),
    "nowhere": Unknown("not_scraped", "secret detail"),
}


def viewer_of(*policies: dict) -> Iterator[Viewer]:
    everyone = {"scope": {"everyone": True}}
    rules = {"policy": [everyone | one for one in policies], "failover_open": False}
    with running_viewer({"UsageQuotaManager": rules}) as viewer:
        viewer.meter.gauges = [SimpleNamespace(resource="storage")]
        for user, reading in READINGS.items():
            viewer.hub.add_user(user)
            viewer.meter.readings[user] = {"storage": reading}
        viewer.hub.add_user("root", admin=True)
        yield viewer


@pytest.fixture(scope="module")
def viewer() -> Iterator[Viewer]:
    """Without a policy."""
    yield from viewer_of()


@pytest.fixture(scope="module")
def limited() -> Iterator[Viewer]:
    """With a policy of the exported limit."""
    yield from viewer_of(POLICY)


def card_of(viewer: Viewer, user: str) -> Tag | None:
    page = viewer.get("", token_of(user))
    assert page.status_code == 200
    assert "secret detail" not in page.text
    return BeautifulSoup(page.text, "html.parser").find(id="usage-quota-gauge-storage")


def shown(card: Tag) -> dict[str, str]:
    return {
        one.dt.get_text(strip=True): one.dd.get_text(strip=True) for one in card.select("dl > div")
    }


@pytest.mark.parametrize(
    ("user", "severity", "numbers"),
    [
        ("within", "ok", {"Used": "4 GiB", "Limit": "10 GiB", "Remaining": "6 GiB"}),
        ("short", "low", {"Used": "8.5 GiB", "Limit": "10 GiB", "Remaining": "1.5 GiB"}),
        ("over", "exhausted", {"Used": "12 GiB", "Limit": "10 GiB", "Remaining": "0 B"}),
        ("endless", "ok", {"Used": "1.5 GiB", "Limit": "none"}),
        ("sized", "ok", {"Used": "3 GiB", "Limit": "none"}),
        ("late", "unknown", {"Used": "4 GiB", "Limit": "10 GiB", "Remaining": "6 GiB"}),
    ],
)
def test_the_card(viewer, user, severity, numbers):
    card = card_of(viewer, user)
    assert card["data-severity"] == severity
    assert shown(card) == numbers
    assert card.find("h2").get_text() == "Home storage"
    measured = card.find(class_="usage-quota-measured").find("time")
    assert measured["datetime"].startswith(f"{MEASURED:%Y-%m-%dT%H:%M}")
    notice = card.find(class_="usage-quota-notice")
    assert (notice is not None) == (user == "late")


@pytest.mark.parametrize("user", ["new", "doubtful", "nowhere"])
def test_no_card_where_there_is_no_home_to_tell_of(viewer, user):
    assert card_of(viewer, user) is None


def test_with_a_policy_its_card_says_it(limited):
    page = BeautifulSoup(limited.get("", token_of("over")).text, "html.parser")
    assert page.find(id="usage-quota-gauge-storage") is None
    (card,) = page.select(".usage-quota-card")
    assert card["data-severity"] == "exhausted"
    assert "waiting" not in card.get_text()
    assert "freed" in card.get_text()


@pytest.mark.parametrize("user", READINGS)
def test_the_api(viewer, limited, user):
    expected = {
        "within": ("fresh", None, 4, 10, True),
        "short": ("fresh", None, 8.5, 10, True),
        "over": ("fresh", None, 12, 10, True),
        "endless": ("fresh", None, 1.5, None, True),
        "sized": ("fresh", None, 3, None, True),
        "late": ("stale", "stale", 4, 10, True),
        "new": ("fresh", None, 0, None, False),
        "doubtful": ("unknown", "unreachable", None, None, None),
    }
    for one in (viewer, limited):
        answer = one.api("me", user)
        assert "secret detail" not in answer.text
        said = answer.json()["home_storage"]
        if user == "nowhere":
            assert said is None
            continue
        amounts = [said["used_bytes"], said["limit_bytes"]]
        gib = [amount if amount is None else amount / GIB for amount in amounts]
        assert (said["state"], said["reason"], *gib, said["there"]) == expected[user]


def test_one_and_all_are_the_same_and_as_described(limited):
    document = limited.get("api/v1/openapi.json").json()
    for shape, path, who in [
        ("Rows", "users?limit=50", "root"),
        ("Policies", "policies", "root"),
        *(("Standing", "me", user) for user in READINGS),
    ]:
        answer = limited.api(path, who)
        assert answer.status_code == 200
        schema = {"$ref": f"#/components/schemas/{shape}", "components": document["components"]}
        assert list(Draft202012Validator(schema).iter_errors(answer.json())) == []
    rows = {row["user"]: row for row in limited.api("users?limit=50", "root").json()["items"]}
    for user in READINGS:
        (own,) = limited.api("me", user).json()["verdicts"]
        (row,) = rows[user]["verdicts"]
        keys = ("used", "allowance", "remaining", "fits", "state", "unit")
        assert [row[key] for key in keys] == [own[key] for key in keys]
    assert rows["over"]["outcome"] == "denied"
    assert rows["sized"]["outcome"] == "failover_closed"


def test_it_has_no_course_over_time(limited):
    answer = limited.api("users/over/usage?resource=storage", "over")
    assert answer.status_code == 400
    assert answer.json()["parameter"] == "resource"
    sessions = limited.api("users/doubtful/sessions", "doubtful").json()
    assert sessions["unknown"] == {}
