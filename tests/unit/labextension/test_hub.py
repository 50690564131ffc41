"""The server's part of JupyterLab's extension: what it asks the Hub, and what it passes on."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.support.paths import ROOT

sys.path.append(str(ROOT / "labextension"))
from jupyterlab_usage_quotas.hub import Hub

TOKEN = "s3cret-token"


class FakeHub:
    """Answers as it is told, and knows what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, str]] = []
        self.status = 200
        self.body: bytes = b'{"user": "ada"}'
        self.url = ""


@pytest.fixture
async def fake() -> AsyncIterator[FakeHub]:
    made = FakeHub()

    class Answering(RequestHandler):
        async def get(self) -> None:
            request = self.request
            given = request.headers.get("Authorization", "")
            made.asked.append((request.method, request.uri, request.body, given))
            await asyncio.sleep(0.01)
            self.set_status(made.status)
            self.finish(made.body)

        post = get

    server = HTTPServer(Application([(".*", Answering)]))
    socket, port = bind_unused_port()
    server.add_sockets([socket])
    made.url = f"http://127.0.0.1:{port}/hub/api"
    yield made
    server.stop()


def hub(fake: FakeHub, user: str = "ada", server: str = "") -> Hub:
    found = Hub.of_environment(
        {
            "JUPYTERHUB_API_URL": fake.url,
            "JUPYTERHUB_API_TOKEN": TOKEN,
            "JUPYTERHUB_USER": user,
            "JUPYTERHUB_SERVER_NAME": server,
        }
    )
    assert found is not None
    return found


async def test_however_many_ask_the_hub_is_asked_once(fake: FakeHub):
    asking = hub(fake, "a/b ü", "gpu & more")
    several = await asyncio.gather(*(asking.status() for _ in range(20)))
    several.append(await asking.status())
    assert {json.dumps(one.content) for one in several} == {'{"user": "ada"}'}
    ((method, uri, _, token),) = fake.asked
    assert (method, token) == ("GET", f"token {TOKEN}")
    assert uri == "/hub/api/usage-quotas/users/a%2Fb%20%C3%BC?server=gpu+%26+more"


async def test_who_goes_away_ends_nothing_for_others(fake: FakeHub):
    asking = hub(fake)
    first, second = (asyncio.ensure_future(asking.status()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).status == 200
    assert len(fake.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (404, b'{"status": 404, "message": null}', "The Hub shows no usage quotas to this server."),
        (403, b"{}", "The Hub shows no usage quotas to this server."),
        (500, b"{}", "The Hub answered with an error (500)."),
        (302, b"<html>", "The Hub does not answer as expected."),
        (200, b"<html>", "The Hub does not answer as expected."),
        (200, b"[1]", "The Hub does not answer as expected."),
        (200, b"\xff", "The Hub does not answer as expected."),
        (200, b" " * 3_000_000, "The Hub "),
    ],
)
async def test_what_is_wrong_is_said_without_the_token(fake: FakeHub, status, body, problem):
    fake.status, fake.body = status, body
    said = await hub(fake).status()
    assert said.problem.startswith(problem)
    assert TOKEN not in repr(said)


async def test_a_hub_that_is_away(fake: FakeHub):
    fake.url = "http://127.0.0.1:9/hub/api"
    said = await hub(fake).status()
    assert (said.status, said.content) == (0, {})
    assert said.problem.startswith("The Hub cannot be reached")


async def test_a_switch_is_of_this_server_whatever_the_page_says(fake: FakeHub):
    fake.status, fake.body = 409, b'{"status": 409, "message": "No.", "reason": "quota"}'
    asking = hub(fake, server="mine")
    said = await asking.switch({"profile": "gpu", "server": "other"})
    ((method, uri, body, _),) = fake.asked
    assert (method, uri) == ("POST", "/hub/api/usage-quotas/users/ada/switch")
    assert json.loads(body) == {"profile": "gpu", "server": "mine"}
    assert (said.status, said.problem) == (409, "No.")


def test_outside_of_a_hub_there_is_none():
    assert Hub.of_environment({}) is None
    assert Hub.of_environment({"JUPYTERHUB_API_URL": "http://hub"}) is None
