"""The dashboard in another language: no text is left out, and it is German where it is to be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup

from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Reading, Stale, Usage
from tests.support.pseudo import NAME, faults, write_pseudo_catalogue
from tests.support.viewer import UNKNOWN, Viewer, running_viewer, the_minute, token_of

EVERYONE = {"everyone": True}
POLICIES: list[dict[str, Any]] = [
    {"name": "p1", "resource": "memory", "limit": "8 GiB-hours", "window": 7, "scope": EVERYONE},
    {
        "name": "p2",
        "resource": "gpu",
        "limit": "4 GPU-hours",
        "window": {"calendar": "month"},
        "scope": EVERYONE,
        "servers": {"gpu": True, "profile": ["p9"], "name": ["p8", ""]},
    },
    {
        "name": "p3",
        "resource": "time",
        "limit": "20 hours",
        "window": {"refill": 1, "every": "6h"},
        "scope": EVERYONE,
    },
    {
        "name": "p4",
        "resource": "cpu",
        "limit": "9 CPU-hours",
        "window": "36h",
        "scope": EVERYONE,
        "share": "pooled",
    },
    {
        "name": "p5",
        "resource": "credits",
        "limit": "5 credits",
        "window": {"calendar": "day"},
        "scope": EVERYONE,
        "when_exhausted": "warn",
    },
]
DATA = [
    *("p1", "p2", "p3", "p4", "p5", "p8", "p9", "ada", "bob", "cleo", "dora", "admin"),
    *("lab", "Big", "GiB-", "GPU-", "CPU-", "UTC", "everybody", "group-1", "shadow", " h"),
    "JupyterHub",
]
PARTS = ("title", "main", "#usage-quota-chip")
SECTIONS: dict[str, Any] = {
    "UsageQuotaManager": {
        "policy": POLICIES,
        "scope_backup_strategy": {"intersection": "max"},
    },
    "UsageConfig": {"credit_prices": {"cpu": 1}},
}


def used(resource_seconds: float, *, going_on: bool = False) -> Fresh:
    """So much in an hour some hours ago, and, if it is going on, now."""
    now = the_minute()
    at, lab = now.timestamp(), ServerAttributes("big", "Big", "lab", gpu=True)
    buckets = [Bucket(at - 5 * 3600, at - 4 * 3600, resource_seconds, lab)]
    buckets.append(Bucket(at - 9 * 3600, at - 8 * 3600, resource_seconds / 10))
    if going_on:
        buckets.append(Bucket(at - 1800, at, resource_seconds / 10, lab))
    return Fresh(Usage(tuple(sorted(buckets, key=lambda one: one.start)), now, 0.5))


def everything(share: float, *, going_on: bool = False) -> dict[str, Reading]:
    gib = 1024.0**3
    amounts = {"memory": 8 * gib, "gpu": 4, "time": 20, "cpu": 9}
    return {
        name: used(share * 3600 * amount, going_on=going_on) for name, amount in amounts.items()
    }


def readings() -> dict[str, dict[str, Reading]]:
    old = Usage((), the_minute() - timedelta(days=1))
    return {
        "ada": everything(1.2),
        "bob": everything(0.7, going_on=True),
        "cleo": {},
        "dora": dict.fromkeys(("memory", "gpu", "time", "cpu"), UNKNOWN),
        "admin": dict.fromkeys(("memory", "gpu", "time", "cpu"), Stale(old, "stale", "x")),
    }


@pytest.fixture(scope="module", params=["enforce", "shadow"])
def viewer(request, tmp_path_factory) -> Iterator[Viewer]:
    folder = tmp_path_factory.mktemp("catalogues")
    write_pseudo_catalogue(folder)
    sections = json.loads(json.dumps(SECTIONS))
    sections["UsageConfig"] |= {"language": NAME, "language_folder": str(folder)}
    sections["UsageQuotaManager"]["enforcement"] = request.param
    with running_viewer(sections) as running:
        for name in ("ada", "bob", "cleo", "dora"):
            running.hub.add_user(name, "everybody")
        running.hub.add_user("admin", admin=True)
        running.meter.readings = readings()
        yield running


@pytest.mark.parametrize("name", ["ada", "bob", "cleo", "dora", "admin"])
def test_every_text_on_a_users_page_is_in_the_catalogue(viewer, name):
    answer = viewer.get("", token_of(name))
    assert answer.status_code == 200
    assert faults(answer.text, PARTS, DATA) == []
    assert faults(viewer.get(f"users/{name}", token_of("admin")).text, PARTS, DATA) == []


@pytest.mark.parametrize(
    "path",
    ["users", "users?search=nobody", "users?group=group-1&policy=p1", "users?limit=2&offset=2"],
)
def test_every_text_on_the_table_is_in_the_catalogue(viewer, path):
    answer = viewer.get(path, token_of("admin"))
    assert answer.status_code == 200
    assert faults(answer.text, PARTS, DATA) == []


@pytest.mark.parametrize(
    ("path", "method", "status"), [("nothing", "GET", 404), ("users", "POST", 405)]
)
def test_errors_are_in_the_catalogue(viewer, path, method, status):
    answer = viewer.get(path, token_of("ada"), method=method)
    assert answer.status_code == status
    assert faults(answer.text, ("title", "main"), DATA) == []


def test_the_page_of_the_api_is_in_the_catalogue_but_for_the_api(viewer):
    answer = viewer.get("api/v1/", token_of("ada"), headers={"Accept": "text/html"})
    page = BeautifulSoup(answer.text, "html.parser")
    page.select_one("dl").decompose()
    assert faults(str(page), ("title", "main"), DATA) == []


def test_what_the_script_has_to_say_is_in_the_catalogue(viewer):
    page = BeautifulSoup(viewer.get("", token_of("ada")).text, "html.parser")
    main = page.select_one("main")
    texts = json.loads(main["data-texts"])
    assert all(text.startswith("⟦") for text in texts.values())
    assert "{time}" in texts["failed"]
    assert main["lang"] == NAME
    for time in page.select("main time"):
        assert time["lang"] == NAME
        assert time["data-form"].startswith("⟦")


def test_a_text_that_is_left_out_would_be_found():
    said = "⟦Used ⟦in the last⟧ up⟧ 7 GiB-⟦hours⟧ p1 forgotten"
    html = f"<main><p title='⟦a⟧ b2 lost'>{said}</p></main>"
    assert faults(html, ("main",), DATA) == ["forgotten", "lost"]


# --- German ---------------------------------------------------------------------------------------


def test_a_page_in_german():
    sections = json.loads(json.dumps(SECTIONS))
    sections["UsageConfig"]["language"] = "de"
    with running_viewer(sections) as running:
        running.hub.add_user("ada", "everybody")
        running.meter.readings = readings()
        html = running.get(
            "", token_of("ada"), headers={"Cookie": "usage-quota-zone=Europe%2FBerlin"}
        )
        page = BeautifulSoup(html.text, "html.parser")
        main = " ".join(page.select_one("main").get_text(" ").split())
        assert page.select_one("h1").get_text() == "Ihre Nutzung"
        assert "Arbeitsspeicher" in main
        assert "Verbraucht in den letzten 7 Tagen" in main
        assert "GiB-Stunden" in main
        assert "Europe/Berlin" in main
        assert page.select_one("main")["lang"] == "de"
        # What programs read stays as it is.
        (first, *_) = running.get("api/v1/me", token_of("ada")).json()["verdicts"]
        assert (first["unit"], first["window_phrase"]) == ("GiB-hours", "in the last 7 days")
