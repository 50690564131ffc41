"""The port of a service that is still starting: open at once, answering, and handed over whole."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from jupyterhub_usage_quotas.services.web.early_port import EarlyPort, listen, listening_address
from tests.support.certificates import Authority
from tests.support.ports import free_port

PREFIX = "/base/services/usage-quota/"


def environment(port: int) -> dict[str, str]:
    return {
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
    }


@pytest.fixture
def url():
    port = free_port()
    early = EarlyPort.of(environment(port))
    assert early is not None
    yield f"http://127.0.0.1:{port}"
    for one in early.hand_over():
        one.close()


@pytest.mark.parametrize("path", [PREFIX, PREFIX.rstrip("/"), f"{PREFIX}?from=hub"])
def test_its_own_page_says_that_it_is_starting_and_loads_itself_again(url, path):
    answer = httpx.get(url + path, trust_env=False)
    assert answer.status_code == 200
    assert "starting" in answer.text
    assert answer.headers["Refresh"] == "1"


@pytest.mark.parametrize(
    "path", ["/", f"{PREFIX}api/v1/me", f"{PREFIX}users/%00", "//x", "/\u00fc"]
)
def test_everything_else_is_not_available_yet(url, path):
    answer = httpx.get(url + path, trust_env=False)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"


def test_nothing_but_reading_its_page_is_taken_for_done(url):
    assert httpx.post(url + PREFIX, json={}, trust_env=False).status_code == 503
    assert httpx.head(url + PREFIX, trust_env=False).status_code == 200


@pytest.mark.parametrize("sent", [b"", b"\x00\xff" * 20_000, b"GET", b"GET / HTTP/1.1\r\n" * 9])
def test_a_client_that_sends_no_request_keeps_nobody_from_an_answer(url, sent):
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(sent)
        assert httpx.get(url + PREFIX, trust_env=False, timeout=30).status_code == 200


class Dripping:
    """Clients that send their requests one byte after the other, for as long as they are let."""

    def __init__(self, url, count):
        host, _, port = url.removeprefix("http://").partition(":")
        self.clients = [socket.create_connection((host, int(port))) for _ in range(count)]
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._drip)

    def _drip(self):
        while not self.over.wait(0.05):
            for client in self.clients:
                with contextlib.suppress(OSError):
                    client.sendall(b"x")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        for client in self.clients:
            client.close()


@pytest.mark.parametrize("count", [1, 30, 150])
def test_clients_that_drip_keep_nobody_from_an_answer(url, count):
    with Dripping(url, count):
        for _ in range(3):
            assert httpx.get(url + PREFIX, trust_env=False, timeout=3).status_code == 200


@pytest.mark.parametrize("count", [1, 30])
def test_a_client_has_one_deadline_for_its_whole_request(url, count):
    with Dripping(url, count) as dripping:
        for client in dripping.clients:
            client.settimeout(10)
            with contextlib.suppress(ConnectionError):
                assert client.recv(1) == b""  # closed


@pytest.mark.parametrize("count", [0, 1, 30])
def test_clients_that_drip_do_not_delay_the_service(count):
    port = free_port()
    early = EarlyPort.of(environment(port))
    assert early is not None
    with Dripping(f"http://127.0.0.1:{port}", count):
        done = threading.Event()
        handing = threading.Thread(target=lambda: (early.close(), done.set()), daemon=True)
        handing.start()
        # Less than a client's own deadline would be for each, with time for a busy machine.
        assert done.wait(5)


async def test_a_connection_that_waits_is_answered_by_the_service():
    class Ready(RequestHandler):
        def get(self):
            self.finish("ready")

    port = free_port()
    early = EarlyPort.of(environment(port))
    assert early is not None
    server = HTTPServer(Application([(".*", Ready)]))
    sockets = await asyncio.to_thread(early.hand_over)
    async with httpx.AsyncClient(trust_env=False) as client:
        # Nobody accepts it until the server has the sockets.
        asked = asyncio.create_task(client.get(f"http://127.0.0.1:{port}{PREFIX}"))
        await asyncio.sleep(0)
        server.add_sockets(sockets)
        assert (await asked).text == "ready"
    server.stop()


@pytest.mark.parametrize(
    "change",
    [
        {"JUPYTERHUB_SERVICE_URL": ""},
        {"JUPYTERHUB_SERVICE_PREFIX": ""},
        {"JUPYTERHUB_SERVICE_URL": "https://127.0.0.1:9000"},
        {
            "JUPYTERHUB_SERVICE_URL": "https://127.0.0.1:9000",
            "JUPYTERHUB_SSL_KEYFILE": "/nothing",
            "JUPYTERHUB_SSL_CERTFILE": "/nothing",
        },
        {"JUPYTERHUB_SERVICE_URL": "ftp://127.0.0.1:9000"},
        {"JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:99999"},
        {"JUPYTERHUB_SERVICE_URL": "http://["},
    ],
)
def test_what_cannot_be_opened_early_is_left_to_the_service(change):
    assert EarlyPort.of(environment(9) | change) is None


def test_a_port_that_is_taken_is_left_to_the_service():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert EarlyPort.of(environment(taken.getsockname()[1])) is None
        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:9000", ("127.0.0.1", 9000)),
        ("http://[::1]:9000/x", ("::1", 9000)),
        ("http://hub:9000", ("", 9000)),
        ("http://0.0.0.0:9000", ("", 9000)),
        ("https://hub", ("", 443)),
        ("http://hub", ("", 80)),
    ],
)
def test_a_name_of_a_service_stands_for_every_interface(url, address):
    assert listening_address(url) == address


def test_its_sockets_hold_no_event_loop():
    sockets = listen("127.0.0.1", free_port())
    assert [one.getblocking() for one in sockets] == [False]
    with pytest.raises(BlockingIOError):
        sockets[0].accept()
    sockets[0].close()


# --- TLS inside of the Hub ------------------------------------------------------------------------


@dataclass(frozen=True)
class Secured:
    """A port with TLS, and the context of who may connect."""

    early: EarlyPort
    port: int
    tls: ssl.SSLContext
    authority: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    hub, port = Authority(tmp_path / "hub"), free_port()
    service, client = hub.issue("localhost"), hub.issue("proxy.internal")
    early = EarlyPort.of(
        environment(port)
        | {
            "JUPYTERHUB_SERVICE_URL": f"https://127.0.0.1:{port}",
            "JUPYTERHUB_SSL_KEYFILE": str(service.key),
            "JUPYTERHUB_SSL_CERTFILE": str(service.certificate),
            "JUPYTERHUB_SSL_CLIENT_CA": str(hub.file),
        }
    )
    assert early is not None
    tls = ssl.create_default_context(cafile=hub.file)
    tls.load_cert_chain(client.certificate, client.key)
    yield Secured(early, port, tls, hub.file)
    with contextlib.suppress(OSError):  # a service may have closed what it was handed
        early.close()


def test_with_tls_it_answers_who_has_a_certificate_of_the_hub(secured):
    answer = httpx.get(secured.url + PREFIX, verify=secured.tls, trust_env=False)
    assert (answer.status_code, answer.headers["Refresh"]) == (200, "1")
    assert httpx.get(secured.url, verify=secured.tls, trust_env=False).status_code == 503
    # Headers of several records, the last of which was read with the first.
    more = {f"X-{number}": "x" * 900 for number in range(15)}
    answer = httpx.get(secured.url + PREFIX, headers=more, verify=secured.tls, trust_env=False)
    assert answer.status_code == 200


def test_with_tls_it_answers_nobody_else(secured):
    stranger = ssl.create_default_context(cafile=secured.authority)
    for url, tls in ((secured.url, stranger), (f"http://localhost:{secured.port}", True)):
        with pytest.raises(httpx.TransportError):
            httpx.get(url + PREFIX, verify=tls, trust_env=False)
    assert httpx.get(secured.url, verify=secured.tls, trust_env=False).status_code == 503


@pytest.mark.parametrize("count", [1, 30])
def test_with_tls_clients_that_do_not_go_on_keep_nobody_from_an_answer(secured, count):
    waiting = [socket.create_connection(("127.0.0.1", secured.port)) for _ in range(count)]
    with Dripping(f"http://127.0.0.1:{secured.port}", count):
        answer = httpx.get(secured.url + PREFIX, verify=secured.tls, trust_env=False, timeout=5)
    assert answer.status_code == 200
    for one in waiting:
        one.close()


async def test_with_tls_it_is_handed_over_whole(secured):
    class Ready(RequestHandler):
        def get(self):
            self.finish("ready")

    sockets = await asyncio.to_thread(secured.early.hand_over)
    # The service has a context of its own, of the same files.
    server = HTTPServer(Application([(".*", Ready)]), ssl_options=secured.early._tls)
    server.add_sockets(sockets)
    async with httpx.AsyncClient(trust_env=False, verify=secured.tls) as client:
        assert (await client.get(secured.url + PREFIX)).text == "ready"
    server.stop()
