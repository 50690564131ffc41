"""A server is started again with another profile: decided before, kept, and done by real Hubs."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from bs4 import BeautifulSoup

from tests.support.hub import PYTHONS, Hub, launch, running_hub, write_config
from tests.support.profile_form import choosing, profile
from tests.support.programs import free_port
from tests.support.recorded_hub import Recorded, quotas
from tests.support.visitor import Visitor, text_of

NAMED = "<b>Larger</b> & {{ 7 * 7 }}"
PROFILES = [
    profile("Small", 1, slug="small", default=True),
    profile(NAMED, 2, slug="larger"),
    profile("Huge", 16, slug="huge"),
    profile("Broken", 1, slug="broken"),
    profile("Slow", 1, slug="slow"),
    profile("Late", 1, slug="late"),
]
CONFIG = """
import asyncio

class Slow(LocalSpawnerWithProfiles):
    async def start(self):
        if self.user_options.get("profile") == "broken":
            raise RuntimeError("a secret of the cluster")
        if self.user_options.get("profile") == "late":
            await asyncio.sleep(3)  # while its page is opened
        return await super().start()

    async def stop(self, now=False):
        while self.user_options.get("profile") == "slow" and not (directory / "stop").exists():
            await asyncio.sleep(0.1)
        return await super().stop(now)

async def keep_the_token(spawner):
    (directory / f"token-{spawner.user.name}").write_text(spawner.api_token)

c.JupyterHub.spawner_class = Slow
c.Slow.profile_list = PROFILES
c.Spawner.pre_spawn_hook = keep_the_token
c.SimpleLocalProcessSpawner.pre_spawn_hook = keep_the_token
c.UsageConfig.refresh_interval = 3.0
c.UsageQuotaManager.policy[0]["minimum_session"] = "1h"
c.UsageViewer.enabled = False
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0.5}
"""
USERS = ("within", "other", "third", "over", "waiting")


def config_for(recorded: Recorded) -> str:
    return quotas(recorded) + choosing(PROFILES, USERS) + CONFIG


class Person:
    """A user with a running server, and that server's token."""

    def __init__(self, hub: Hub, folder: Path, name: str, profile: str = "small") -> None:
        self.hub, self.folder, self.name = hub, folder, name
        self.visitor = Visitor(hub.url, name)
        started = self.visitor.api("POST", f"/users/{name}/server", json={"profile": profile})
        assert started.is_success, started.text
        self.visitor.wait_until_ready()

    @property
    def token(self) -> str:
        return (self.folder / f"token-{self.name}").read_text()

    def ask(self, content: Any, token: str | None = None, **options: Any) -> httpx.Response:
        """A request for a switch, as the server's own extension makes it."""
        return httpx.post(
            f"{self.hub.url}/hub/api/usage-quotas/users/{self.name}/switch",
            headers={"Authorization": f"token {token or self.token}"},
            content=content if isinstance(content, bytes) else json.dumps(content),
            trust_env=False,
            timeout=60,
        )

    @property
    def server(self) -> dict[str, Any]:
        return self.visitor.servers().get("", {})

    @property
    def profile(self) -> str:
        server = self.server
        return server["user_options"]["profile"] if server and server["ready"] else ""

    def said(self) -> dict[str, Any]:
        return self.visitor.api("GET", f"/usage-quotas/users/{self.name}").json()


@pytest.fixture(scope="module", params=PYTHONS)
def hub(
    request: pytest.FixtureRequest, recorded: Recorded, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Hub, Path]]:
    folder = tmp_path_factory.mktemp(f"switch{request.param}")
    with running_hub(folder, request.param, config_for(recorded)) as running:
        yield running, folder


@pytest.fixture(scope="module")
def within(hub: tuple[Hub, Path]) -> Person:
    return Person(*hub, "within")


def test_a_server_is_started_again_with_another_profile_and_back(within: Person):
    for slug in ("larger", "small"):
        answer = within.ask({"profile": slug})
        assert answer.status_code == 202, answer.text
        page = within.visitor.http.get(answer.json()["url"])
        assert page.is_success, page.text
        within.visitor.wait_until(lambda slug=slug: within.profile == slug)
        # The page leads on to the server.
        within.visitor.wait_until(
            lambda answer=answer: (
                within.visitor.http.get(answer.json()["url"]).url.path == "/user/within/"
            )
        )
    within.visitor.wait_until(lambda: within.said()["switches"] == [])
    (server,) = within.said()["servers"]
    assert (server["profile"], server["profile_name"]) == ("small", "Small")


def test_what_may_not_start_is_refused_before_anything_is_stopped(within: Person):
    started = within.server["started"]
    answer = within.ask({"profile": "huge"})
    assert answer.status_code == 409
    said = answer.json()
    assert (said["reason"], said["status"], said["retry_time"]) == ("quota", 409, None)
    assert "it needs at least 16 GiB-hours, and the quota is 8 GiB-hours" in said["message"]
    assert (within.profile, within.server["started"]) == ("small", started)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"\xff\xfe{}", 400),
        (b"[" * 30_000, 400),
        (b'{"profile": "' + b"x" * 70_000 + b'"}', 413),
        ({}, 400),
        ([], 400),
        ({"profile": None}, 400),
        ({"profile": ""}, 400),
        ({"profile": "x" * 256}, 400),
        ({"profile": ["small"]}, 400),
        ({"profile": "small", "more": 1}, 400),
        ({"profile": "small", "options": {"a": {"b": 1}}}, 400),
        ({"profile": "small", "options": {str(n): "x" for n in range(65)}}, 400),
        ({"profile": "small\n%s{7*7}<script>"}, 409),
        ({"profile": "small", "options": {"profile": "huge"}, "server": ""}, 202),
        ({"profile": "\u202e%n"}, 409),
        ({"profile": "small", "server": "none"}, 403),
        ({"profile": "small", "server": "../admin"}, 403),
    ],
)
def test_what_is_sent_is_not_trusted(within: Person, content, status):
    within.visitor.wait_until(lambda: within.profile == "small" and not within.said()["switches"])
    started = within.server["started"]
    answer = within.ask(content)
    assert answer.status_code == status, answer.text
    assert len(answer.content) < 2000
    if status == 202:
        # The slug is what is asked for, whatever options say.
        within.visitor.wait_until(lambda: within.server.get("started") not in (None, started))
        within.visitor.wait_until(lambda: within.profile == "small")
    else:
        assert within.server["started"] == started


def test_a_servers_token_switches_that_server_alone(within: Person, hub: tuple[Hub, Path]):
    other = Person(*hub, "other")
    assert other.ask({"profile": "larger"}, token=within.token).status_code == 404
    assert other.ask({"profile": "larger"}, token="made-up").status_code == 403
    path = "/hub/api/usage-quotas/users/other/switch"
    forged = other.visitor.http.post(path, json={"profile": "larger"})
    assert forged.status_code == 403
    assert other.profile == "small"
    # Their own session may, as it may start and stop the server.
    own = path.removeprefix("/hub/api")
    answer = other.visitor.api("POST", own, json={"profile": "larger"})
    assert answer.status_code == 202
    other.visitor.wait_until(lambda: other.profile == "larger")
    other.visitor.stop()
    again = other.visitor.api("POST", own, json={"profile": "small"})
    assert again.status_code == 409, again.text
    assert again.json()["reason"] == "server"


def test_what_does_not_start_is_said_and_the_old_one_offered(hub: tuple[Hub, Path]):
    third = Person(*hub, "third", profile="larger")
    answer = third.ask({"profile": "broken"})
    assert answer.status_code == 202
    third.visitor.wait_until(
        lambda: [one["state"] for one in third.said()["switches"]] == ["failed"]
    )
    page = third.visitor.http.get(answer.json()["url"])
    assert "Your server was not started" in text_of(page)
    assert "secret" not in page.text
    assert f"Start {NAMED} again" in text_of(page)
    # The pages of its JupyterLab, which cannot ask it any more, find that page.
    gone = "/hub/usage-quotas/gone/third"
    said = {"switch_url": answer.json()["url"], "stopping": False, "stopped": None}
    assert third.visitor.http.get(gone).json() == said
    # Nobody else sees it.
    stranger = Visitor(third.hub.url, "over")
    for url in (answer.json()["url"], gone):
        assert stranger.http.get(url).status_code == 404
    form = BeautifulSoup(page.text, "html.parser").select_one("#usage-quota-switch form")
    sent = {one["name"]: one["value"] for one in form.find_all("input")}
    assert third.visitor.http.post(answer.json()["url"], data={}).status_code == 403
    third.visitor.http.post(answer.json()["url"], data=sent)
    third.visitor.wait_until(lambda: third.profile == "larger")
    assert third.said()["switches"] == []
    assert third.visitor.http.get(gone).json() == {
        "switch_url": None,
        "stopping": False,
        "stopped": None,
    }


def test_while_a_server_starts_its_page_says_what_is_left(hub: tuple[Hub, Path]):
    visitor = Visitor(hub[0].url, "waiting")
    assert visitor.api("POST", "/users/waiting/server", json={"profile": "late"}).is_success
    events = list(visitor.progress())
    first = next(event for event in events if "quotas" in event.get("message", ""))
    left = "Usage quotas: Memory 8 GiB-hours left. This server can run for 8h."
    assert first["message"] == left
    assert events[-1]["ready"] is True


@pytest.mark.parametrize("version", PYTHONS)
def test_a_hub_that_is_killed_in_between_does_it_when_it_is_there_again(
    version, recorded: Recorded, tmp_path: Path
):
    port = free_port()
    # The server may have ended with its Hub, which looks for it then for as long as this says.
    config = config_for(recorded) + "c.Spawner.http_timeout = 5\n"
    file = write_config(tmp_path, version, config, port)
    url = f"http://127.0.0.1:{port}"
    with launch(tmp_path, version, file) as program:
        program.wait_for_url(f"{url}/hub/health")
        person = Person(Hub(url, program, version), tmp_path, "within", profile="slow")
        before = datetime.fromisoformat(person.server["started"])
        assert person.ask({"profile": "larger"}).status_code == 202
        person.visitor.wait_until(lambda: person.server["pending"] == "stop")
        assert kept(tmp_path) == [("within", "", "stopping", {"profile": "larger"})]
        assert person.ask({"profile": "small"}).status_code in {403, 409}
        program._process.send_signal(signal.SIGKILL)
    (tmp_path / "stop").touch()
    with launch(tmp_path, version, file) as program:
        program.wait_for_url(f"{url}/hub/health")
        visitor = Visitor(url, "within")
        visitor.wait_until(lambda: visitor.servers().get("", {}).get("ready"))
        visitor.wait_until(
            lambda: (
                visitor.servers().get("", {}).get("user_options") == {"profile": "larger"}
                and visitor.servers()[""]["ready"]
            )
        )
        assert datetime.fromisoformat(visitor.servers()[""]["started"]) > before
        visitor.wait_until(lambda: kept(tmp_path) == [])
        visitor.stop()


def kept(folder: Path) -> list[tuple[str, str, str, Any]]:
    """What is in the table, as somebody else reads it."""
    (file,) = folder.glob("*quota*.sqlite")
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT username, server, state, wanted FROM usage_quotas_switches"
        ).fetchall()
    return [(*row[:3], json.loads(row[3])) for row in rows]
