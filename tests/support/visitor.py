"""A person using a Hub over HTTP: logs in, presses Start, reads the page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import tenacity
from bs4 import BeautifulSoup

PATIENCE = 300
"""Seconds after which something is broken, and not just slow."""


def _is_starting(answer: httpx.Response) -> bool:
    """Whether a service behind the Hub says that its page opens by itself in a moment."""
    return b"<title>Starting</title>" in answer.read()


class LoadsAgain(httpx.HTTPTransport):
    """Asks again while a service is starting, as its page has a browser do."""

    @tenacity.retry(
        retry=tenacity.retry_if_result(_is_starting),
        wait=tenacity.wait_fixed(0.2),
        stop=tenacity.stop_after_delay(PATIENCE),
    )
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of a service that is ready."""
        return super().handle_request(request)


class Visitor:
    """One user's session with a Hub."""

    def __init__(self, url: str, username: str, base: str = "") -> None:
        self.username = username
        self.hub = f"{base}/hub"
        self.http = httpx.Client(
            base_url=url,
            follow_redirects=True,
            timeout=PATIENCE,
            trust_env=False,
            transport=LoadsAgain(),
        )
        page = self.http.get(f"{self.hub}/login")
        assert page.is_success, page.text
        answer = self.http.post(
            f"{self.hub}/login",
            params={"next": f"{self.hub}/home"},
            data={"username": username, "password": "x", "_xsrf": self._xsrf},
        )
        assert answer.is_success, text_of(answer)

    @property
    def _xsrf(self) -> str:
        return next(
            cookie.value
            for cookie in self.http.cookies.jar
            if cookie.name == "_xsrf" and cookie.path.startswith(self.hub)
        )

    def press_start(self, server: str = "") -> httpx.Response:
        """Open the spawn page, as the Start button does; ends on whatever page that leads to.

        After a second, that is the page of a server that is starting, whatever becomes of it.
        """
        return self.http.get(
            f"{self.hub}/spawn/{quote(self.username, safe='@')}/{server}".rstrip("/")
        )

    def start(self, server: str = "") -> httpx.Response:
        """Press Start, and see what became of it, however long that takes."""
        return self._decided(lambda: self.press_start(server), server)

    def submit_options(self, **fields: str) -> httpx.Response:
        """Press Start on the page with server options, and see what became of it."""
        path = f"{self.hub}/spawn/{quote(self.username, safe='@')}"
        self.http.get(path)
        return self._decided(
            lambda: self.http.post(path, params={"_xsrf": self._xsrf}, data=fields)
        )

    def _decided(self, press: Callable[[], httpx.Response], server: str = "") -> httpx.Response:
        """The answer to Start. A launch that failed while its page said that it is starting, since
        the machine is busy, is tried again: now it may be decided within the page's second.
        """

        def failed_later(answer: httpx.Response) -> bool:
            if not answer.is_success or "/spawn-pending/" not in answer.url.path:
                return False
            return any(event.get("failed") for event in self.progress(server))

        tried_again = tenacity.Retrying(
            retry=tenacity.retry_if_result(failed_later), stop=tenacity.stop_after_delay(PATIENCE)
        )
        return tried_again(press)

    def pending_page(self) -> httpx.Response:
        """The page that is shown while a server is starting, or after it failed to."""
        return self.http.get(f"{self.hub}/spawn-pending/{quote(self.username, safe='@')}")

    def api(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """A request to the REST API with this session's cookies."""
        headers = {"X-XSRFToken": self._xsrf, "Referer": f"{self.http.base_url}{self.hub}/home"}
        return self.http.request(method, f"{self.hub}/api{path}", headers=headers, **arguments)

    @property
    def _model(self) -> str:
        return f"/users/{quote(self.username, safe='')}"

    def _server(self, name: str) -> str:
        return f"{self._model}/servers/{name}" if name else f"{self._model}/server"

    def start_by_api(self, server: str = "") -> httpx.Response:
        """Start a server through the REST API."""
        return self.api("POST", self._server(server), json={})

    def stop(self) -> None:
        """Stop the default server, and wait until it has."""
        self.api("DELETE", f"{self._model}/server")
        self.wait_until(lambda: not self.servers())

    def launches(self) -> bool:
        """Whether the Hub lets the default server start, which is asked for."""
        return self.api("POST", f"{self._model}/server").is_success

    def seconds_until_launch(self, *, allowed: bool) -> float:
        """How long until a launch is allowed, or denied; at most a minute."""
        began = time.monotonic()
        while self.launches() is not allowed:
            assert time.monotonic() < began + 60
            if not allowed:
                # Else the next one would be refused because this server is there.
                self.wait_until_ready()
                self.stop()
        return time.monotonic() - began

    def servers(self) -> dict[str, Any]:
        """The servers that the Hub says this user has running or pending."""
        model = self.api("GET", self._model).json()
        return {
            name: server
            for name, server in model.get("servers", {}).items()
            if server["ready"] or server["pending"]
        }

    def wait_until_ready(self) -> None:
        """Wait until the default server is ready."""
        self.wait_until(lambda: self.servers().get("", {}).get("ready", False))

    def progress(self, server: str = "") -> Iterator[dict[str, Any]]:
        """The events that the pending page shows."""
        url = f"{self.hub}/api{self._server(server)}/progress"
        with self.http.stream("GET", url, headers={"Referer": str(self.http.base_url)}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])

    @staticmethod
    def wait_until(true: Any, seconds: float = PATIENCE) -> None:
        """Ask again until something is true, with pauses: who asks all the time keeps the Hub, and
        every test beside this one, from getting there.
        """
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "the Hub did not get there in time"
            time.sleep(0.1)


def text_of(page: httpx.Response) -> str:
    """What a person reads on a page."""
    soup = BeautifulSoup(page.text, "html.parser")
    for script in soup(["script", "style"]):
        script.decompose()
    return " ".join(soup.get_text(" ").split())
