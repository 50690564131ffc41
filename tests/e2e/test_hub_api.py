"""Where users stand, as the Hub itself answers their servers: real Hubs of both versions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.support.hub import PYTHONS, Hub, running_hub
from tests.support.profile_form import choosing, profile
from tests.support.recorded_hub import Recorded, quotas
from tests.support.visitor import Visitor

HOSTILE = "<img src=x onerror=alert(1)>\" ' {{ 7 * 7 }}"
PROFILES = [
    profile("Small", 1, slug="small", default=True),
    profile(HOSTILE, 4, slug="hostile"),
    profile("Huge", 16, slug="huge"),
]
CHOOSING = ("within", "over<b>&", "admin")
CONFIG = """
async def keep_the_token(spawner):
    (directory / f"token-{spawner.user.id}").write_text(spawner.api_token)

c.Spawner.pre_spawn_hook = keep_the_token
c.SimpleLocalProcessSpawner.pre_spawn_hook = keep_the_token
c.UsageConfig.refresh_interval = 3.0
c.UsageQuotaManager.policy[0]["minimum_session"] = "1h"
"""


class Asking:
    """A Hub, and the token of the server of `within`."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.hub = hub
        self.folder = folder
        self.within = Visitor(hub.url, "within")

    def get(self, name: str, token: str | None = None, path: str = "") -> httpx.Response:
        headers = {"Authorization": f"token {token}"} if token else {}
        address = f"{self.hub.url}/hub/api/usage-quotas/users/{quote(name, safe='')}{path}"
        return httpx.get(address, headers=headers, trust_env=False, timeout=60)

    def token(self) -> str:
        """That of a server that runs."""
        if not self.within.servers():
            assert self.within.start_by_api().is_success
            self.within.wait_until_ready()
        (token,) = self.folder.glob("token-*")
        return token.read_text()


@pytest.fixture(scope="module", params=PYTHONS)
def asking(
    request: pytest.FixtureRequest, recorded: Recorded, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asking]:
    config = quotas(recorded) + CONFIG + choosing(PROFILES, CHOOSING)
    folder = tmp_path_factory.mktemp(f"api{request.param}")
    with running_hub(folder, request.param, config) as hub:
        made = Asking(hub, folder)
        token = made.token()
        made.within.wait_until(
            lambda: made.get("within", token).json()["verdicts"][0]["state"] == "fresh"
        )
        yield made


def test_a_servers_token_reads_where_its_user_stands(asking: Asking):
    said = asking.get("within", asking.token()).json()
    assert (said["user"], said["allow_server_launch"], said["enforcement"]) == (
        "within",
        True,
        "enforce",
    )
    (verdict,) = said["verdicts"]
    assert (verdict["resource"], verdict["allowance"], verdict["unit"]) == (
        "memory",
        8,
        "GiB-hours",
    )
    # Two were used before, and a server of one GiB has been running for some seconds.
    assert 5.5 < verdict["remaining"] <= 6
    assert verdict["words"]["total"] == "8 GiB-hours"
    # With one GiB for six hours.
    left = datetime.fromisoformat(verdict["exhausted_at"]) - datetime.fromisoformat(said["as_of"])
    assert 5.5 * 3600 < left.total_seconds() <= 6 * 3600
    assert said["summary"]["text"] == "Memory 6 GiB-hours left"
    (server,) = said["servers"]
    assert (server["name"], server["profile"], server["pending"]) == ("", "small", None)


def test_every_profile_says_how_long_it_could_run(asking: Asking):
    """Beside the server that runs, and in its place."""
    token = asking.token()
    beside = {one["slug"]: one for one in asking.get("within", token).json()["profiles"]}
    instead = asking.get("within", token, "?server=").json()["profiles"]
    instead = {one["slug"]: one for one in instead}
    assert list(beside) == ["small", "hostile", "huge"]
    assert beside["hostile"]["name"] == HOSTILE
    # Six GiB-hours: one and one GiB for three hours, one for six; four and one, and four alone.
    hours = {
        slug: [one[slug]["lasts_seconds"] / 3600 for one in (beside, instead)]
        for slug in ("small", "hostile")
    }
    assert hours["small"] == pytest.approx([3, 6], rel=0.05)
    assert hours["hostile"] == pytest.approx([1.2, 1.5], rel=0.05)
    # An hour of sixteen GiB is more than all of it.
    assert (beside["huge"]["fits"], beside["huge"]["denied"]) == (False, True)
    assert (beside["huge"]["retry_time"], beside["huge"]["text"]) == (
        None,
        "Not within your quotas",
    )


def test_nobody_reads_of_others(asking: Asking):
    token = asking.token()
    over = Visitor(asking.hub.url, "over<b>&")
    assert asking.get("over<b>&", token).status_code == 404
    assert asking.get("nobody-of-this-name", token).status_code == 404
    assert asking.get("within").status_code == 403
    assert asking.get("within", "made-up").status_code == 403
    assert over.api("GET", "/usage-quotas/users/within").status_code == 404
    own = over.api("GET", f"/usage-quotas/users/{quote('over<b>&', safe='')}").json()
    assert (own["user"], own["severity"]) == ("over<b>&", "exhausted")
    at = datetime.fromisoformat(own["retry_time"])
    (row,) = own["verdicts"]
    assert datetime.fromisoformat(row["words"]["until"]) >= at


def test_an_admin_reads_of_all(asking: Asking):
    admin = Visitor(asking.hub.url, "admin")
    assert admin.api("GET", "/usage-quotas/users/within").json()["user"] == "within"
    assert admin.api("GET", "/usage-quotas/users/nobody-of-this-name").status_code == 404


def test_a_session_needs_the_page_s_own_header(asking: Asking):
    """Another site can send a browser's cookies, and not read the page that has the token."""
    origin = {"Origin": "https://elsewhere.example", "Sec-Fetch-Mode": "cors"}
    answer = asking.within.http.get("/hub/api/usage-quotas/users/within", headers=origin)
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["?server=" + "x" * 300, "?server=%00", "?server=..%2F..", "?x=1"])
def test_odd_parameters_are_no_failure_of_the_hub(asking: Asking, path):
    answer = asking.get("within", asking.token(), path)
    assert answer.status_code == (400 if "xxx" in path else 200)


@pytest.mark.parametrize("name", ["%2e%2e", "within%00", "wit\u202ehin", "a/b", "x" * 3000])
def test_odd_names_are_not_found(asking: Asking, name):
    assert asking.get(name, asking.token()).status_code in {404, 414, 431}
