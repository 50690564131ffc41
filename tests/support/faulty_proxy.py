"""An HTTP proxy in front of a real Prometheus that does with its answers whatever a test wants.

Everything that can happen to an answer on its way is a `Fault`: it is told of a request, may ask
Prometheus or not, and gives what is sent back. `FaultyProxy.plan` says which fault a request has.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import httpx

JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """What is sent; of the body only the part up to `cut`, after which the connection breaks."""

    body: bytes
    status: int = 200
    kind: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None

    @property
    def said(self) -> dict[str, Any]:
        """The answer that is in it."""
        return json.loads(self.body)

    def saying(self, said: object) -> Answer:
        """The same with another answer in it."""
        return replace(self, body=json.dumps(said).encode())


class Broken(Exception):
    """The connection breaks without an answer."""


@dataclass
class Asked:
    """One request: what was asked for, and how much was answered."""

    endpoint: str
    body: bytes
    kind: str
    proxy: FaultyProxy
    number: int
    finished: int = 0
    """When, in numbers that requests and answers share; zero until it is."""
    sent: int = 0
    """Bytes of the answer."""
    answered: bytes = b""
    status: int = 0
    """Zero while there is no answer."""

    @property
    def parameters(self) -> dict[str, str]:
        """What was asked for."""
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def query(self) -> str:
        """The PromQL."""
        return self.parameters["query"]

    @property
    def until(self) -> float:
        """The instant, or the last one, that is asked about (Unix seconds)."""
        parameters = self.parameters
        return float(parameters.get("end", parameters.get("time", 0)))

    @property
    def refused(self) -> bool:
        """Whether it was not answered, or not as it was meant to be."""
        return self.status != 200

    @property
    def points(self) -> int:
        """How many instants are asked about."""
        asked = self.parameters
        if "step" not in asked:
            return 1
        return int((float(asked["end"]) - float(asked["start"])) / float(asked["step"])) + 1

    def truth(self) -> Answer:
        """What Prometheus answers."""
        url = f"{self.proxy.target}{self.endpoint}"
        headers = {"Content-Type": self.kind, "Accept-Encoding": "identity"}
        real = self.proxy.http.post(url, content=self.body, headers=headers)
        return Answer(real.content, real.status_code, real.headers["Content-Type"])


Fault = Callable[[Asked], Answer]
Plan = Callable[[Asked], Fault]


class FaultyProxy:
    """A running proxy."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.plan: Plan = lambda _asked: honest
        self.asked: list[Asked] = []
        """All requests, in the order in which they came."""
        self.waiting = threading.Semaphore(0)
        """Released whenever a request begins to wait."""
        self.let_go = threading.Event()
        """Ends all waiting."""
        self.http = httpx.Client(timeout=60, trust_env=False)
        self._counted = 0
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._port = 0
        self.listen()

    @property
    def url(self) -> str:
        """Where it listens, or did last."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def sent(self) -> int:
        """Bytes of all answers."""
        return sum(one.sent for one in self.asked)

    def always(self, fault: Fault) -> None:
        """Let every request have this fault."""
        self.plan = lambda _asked: fault

    def count(self) -> int:
        """The next of the numbers that order what happens."""
        with self._lock:
            self._counted += 1
            return self._counted

    def listen(self) -> None:
        """Take connections (again, at the same address)."""
        proxy = self

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def process_request(self, request: Any, client_address: Any) -> None:
                with proxy._lock:
                    proxy._connections.add(request)
                super().process_request(request, client_address)

            def shutdown_request(self, request: Any) -> None:
                with proxy._lock:
                    proxy._connections.discard(request)
                super().shutdown_request(request)

            def handle_error(self, *_: object) -> None:
                """Say nothing: connections that break are what this is for."""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                proxy._handle(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def refuse(self) -> None:
        """Take no connections any more, and end those that there are."""
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None
        with self._lock:
            connections = [*self._connections]
        for one in connections:
            _reset(one)

    def close(self) -> None:
        """Stop for good."""
        self.let_go.set()
        self.refuse()
        self.http.close()

    def wait(self, seconds: float | None = None) -> None:
        """Make a request wait so long, or until all are let go."""
        self.waiting.release()
        self.let_go.wait(seconds)

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers["Content-Length"])
        body = handler.rfile.read(length)
        if len(body) < length:
            # It was given up before it was asked.
            handler.close_connection = True
            return
        asked = Asked(handler.path, body, handler.headers["Content-Type"], self, self.count())
        with self._lock:
            self.asked.append(asked)
        try:
            answer = self.plan(asked)(asked)
        except Broken:
            _reset(handler.connection)
            handler.close_connection = True
            return
        finally:
            asked.finished = self.count()
        asked.sent, asked.answered = len(answer.body[: answer.cut]), answer.body
        asked.status = answer.status
        handler.send_response(answer.status)
        handler.send_header("Content-Type", answer.kind)
        handler.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer.body[: answer.cut])
        if answer.cut is not None:
            handler.wfile.flush()
            _reset(handler.connection)
            handler.close_connection = True


def _reset(connection: socket.socket) -> None:
    """Break a connection at once, as a machine that goes away does."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    """A proxy that is honest until it is told otherwise."""
    proxy = FaultyProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()


# --- what can happen on the way -------------------------------------------------------------------


def honest(asked: Asked) -> Answer:
    """What Prometheus says."""
    return asked.truth()


def delay(seconds: float) -> Fault:
    """It comes late."""

    def fault(asked: Asked) -> Answer:
        asked.proxy.wait(seconds)
        return asked.truth()

    return fault


def hang(asked: Asked) -> Answer:
    """It does not come, until all are let go; then it does."""
    asked.proxy.wait()
    return asked.truth()


def reset(_asked: Asked) -> Answer:
    """The connection breaks before anything is said."""
    raise Broken


def cut(asked: Asked) -> Answer:
    """The connection breaks in the middle."""
    answer = asked.truth()
    return replace(answer, cut=len(answer.body) // 2)


def truncated(asked: Asked) -> Answer:
    """Somebody forwards half of it as if it were all."""
    answer = asked.truth()
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def corrupted(seed: int) -> Fault:
    """Some bytes are none of UTF-8's."""

    def fault(asked: Asked) -> Answer:
        body = bytearray(asked.truth().body)
        chance = random.Random(seed)
        for _ in range(3):
            body[chance.randrange(len(body))] = 0xFF
        return Answer(bytes(body))

    return fault


def status(number: int, **headers: str) -> Fault:
    """A proxy or Prometheus itself says that it does not want to."""
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return lambda _asked: Answer(b"not now", number, "text/plain", given)


def api_error(number: int, kind: str, text: str) -> Fault:
    """Prometheus says why it does not want to."""
    said = {"status": "error", "errorType": kind, "error": text}
    return lambda _asked: Answer(json.dumps(said).encode(), number)


# --- lies -----------------------------------------------------------------------------------------


def html(_asked: Asked) -> Answer:
    """A page to log in on, as if all were well."""
    return Answer(b"<!doctype html><title>Sign in</title>", kind="text/html")


def told(change: Callable[[dict[str, Any]], object]) -> Fault:
    """What Prometheus says, changed in place, or by what is returned."""

    def fault(asked: Asked) -> Answer:
        answer = asked.truth()
        said = answer.said
        return answer.saying(change(said) or said)

    return fault


@told
def empty(said: dict[str, Any]) -> object:
    """Nothing is known of anything."""
    said["data"]["result"] = []
    return said


@told
def another_type(said: dict[str, Any]) -> None:
    """A vector where a matrix was asked for, and the other way round."""
    matrix = said["data"]["resultType"] == "matrix"
    said["data"]["resultType"] = "vector" if matrix else "matrix"
    for one in said["data"]["result"]:
        if matrix:
            one["value"] = one.pop("values")[-1]
        else:
            one["values"] = [one.pop("value")]


@told
def scalar(said: dict[str, Any]) -> None:
    """A number."""
    said["data"] = {"resultType": "scalar", "result": [1, "1"]}


@told
def not_a_number(said: dict[str, Any]) -> None:
    """The last sample of every series is NaN."""
    for one in said["data"]["result"]:
        sample = one["values"][-1] if "values" in one else one["value"]
        sample[1] = "NaN"


@told
def twice(said: dict[str, Any]) -> None:
    """Every series is there twice."""
    said["data"]["result"] += said["data"]["result"]


@told
def warned(said: dict[str, Any]) -> None:
    """Some store did not answer, so that this is not all."""
    said["warnings"] = ["store gateway 10.0.0.7 is away"]


def with_labels(label: str, value: str) -> Fault:
    """Every series that has a label has another value of it."""

    def change(said: dict[str, Any]) -> None:
        for one in said["data"]["result"]:
            if label in one["metric"]:
                one["metric"][label] = value

    return told(change)


def earlier(seconds: int) -> Fault:
    """The answer to the same question of so long ago: a cache that is never emptied."""

    def fault(asked: Asked) -> Answer:
        moved = dict(asked.parameters)
        for name in {"start", "end", "time"} & moved.keys():
            moved[name] = str(float(moved[name]) - seconds)
        body = str(httpx.QueryParams(moved)).encode()
        return replace(asked, body=body).truth()

    return fault


def of_another_query(asked: Asked) -> Answer:
    """The answer to somebody else's question about the same time: connections are mixed up."""
    mine = asked.parameters | {"query": 'kube_pod_status_phase{phase="Running"}'}
    return replace(asked, body=str(httpx.QueryParams(mine)).encode()).truth()
