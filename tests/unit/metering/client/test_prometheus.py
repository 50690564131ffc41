"""What the client makes of every way in which a server can fail, faked at the transport."""

from __future__ import annotations

import asyncio
import base64
import gc
import gzip
import json
import re
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import respx

from jupyterhub_usage_quotas import errors
from jupyterhub_usage_quotas.metering.client.body import LARGEST, read_body
from jupyterhub_usage_quotas.metering.client.connection import Connection
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from tests.support.meter_events import OnRequest

URL = "http://prometheus.test:9090/prefix"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def answer(*results: dict, kind: str = "vector", **more: object) -> dict:
    return {"status": "success", "data": {"resultType": kind, "result": list(results)}, **more}


def vector(value: str, **labels: str) -> dict:
    return {"metric": labels, "value": [NOW.timestamp(), value]}


@pytest.fixture
async def client():
    observed: list[tuple[str, float]] = []
    made = PrometheusClient(
        URL,
        request_timeout=timedelta(seconds=1),
        events=OnRequest(lambda outcome, seconds: observed.append((outcome, seconds))),
    )
    made.observed = observed
    yield made
    await made.aclose()


@pytest.fixture
def server():
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield router


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Retries wait for a random time; here they are made to wait for none."""

    async def at_once(_seconds: float) -> None:
        return None

    monkeypatch.setattr("tenacity.asyncio._portable_async_sleep", at_once)


async def test_an_answer_becomes_series(client, server):
    route = server.post("/api/v1/query").respond(json=answer(vector("1.5", resource="cpu")))
    (series,) = await client.query("up", NOW)
    assert series.labels == {"resource": "cpu"}
    assert series.samples == ((NOW.timestamp(), 1.5),)
    sent = httpx.QueryParams(route.calls.last.request.content.decode())
    assert sent["query"] == "up"
    assert float(sent["time"]) == NOW.timestamp()
    assert [outcome for outcome, _ in client.observed] == ["success"]


async def test_infos_of_newer_servers_are_not_warnings(client, server):
    server.post("/api/v1/query").respond(json=answer(vector("1"), infos=["metric might ..."]))
    assert len(await client.query("up", NOW)) == 1


@pytest.mark.parametrize(
    ("response", "error", "says"),
    [
        ({"status_code": 401}, errors.PrometheusUnauthorized, "credentials"),
        ({"status_code": 403}, errors.PrometheusUnauthorized, "403"),
        ({"status_code": 503, "text": "starting"}, errors.PrometheusUnavailable, "503"),
        ({"status_code": 429}, errors.PrometheusUnavailable, "429"),
        (
            {"status_code": 200, "html": "<html>Log in</html>"},
            errors.BadAnswer,
            "not an answer of the Prometheus API",
        ),
        (
            {"status_code": 200, "text": json.dumps(answer(vector("1")))[:-9]},
            errors.BadAnswer,
            None,
        ),
        ({"status_code": 200, "json": []}, errors.BadAnswer, None),
        ({"status_code": 200, "json": {"status": "success"}}, errors.QueryRejected, None),
        ({"status_code": 404, "text": "no such page"}, errors.BadAnswer, "404"),
        (
            {"status_code": 400, "json": {"status": "error", "error": "parse error at char 3"}},
            errors.QueryRejected,
            "parse error at char 3",
        ),
        (
            {"status_code": 200, "json": answer(vector("1"), warnings=["a store is away"])},
            errors.PartialAnswer,
            "a store is away",
        ),
        ({"status_code": 200, "json": answer(vector("NaN"))}, errors.BadAnswer, "NaN"),
        ({"status_code": 200, "json": answer(vector("+Inf"))}, errors.BadAnswer, "infinite"),
        ({"status_code": 200, "json": answer(vector("cheese"))}, errors.BadAnswer, "not a number"),
        ({"status_code": 200, "json": answer({"metric": {}})}, errors.BadAnswer, None),
        ({"status_code": 302, "headers": {"location": "/login"}}, errors.BadAnswer, "302"),
    ],
)
async def test_an_answer_that_cannot_be_trusted_is_refused(client, server, response, error, says):
    server.post("/api/v1/query").respond(**response)
    with pytest.raises(error, match=says):
        await client.query("up", NOW)
    assert client.observed[-1][0] == error.reason


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.ConnectError("refused"), errors.PrometheusUnreachable),
        (httpx.ReadError("reset"), errors.PrometheusUnreachable),
        (httpx.ReadTimeout("slow"), errors.PrometheusTimeout),
        (httpx.Response(502), errors.PrometheusUnavailable),
    ],
)
async def test_a_transient_failure_is_tried_again(client, server, failure, error):
    good = httpx.Response(200, json=answer(vector("1")))
    server.post("/api/v1/query").mock(side_effect=[failure, failure, good])
    assert len(await client.query("up", NOW)) == 1
    assert [outcome for outcome, _ in client.observed] == [error.reason, error.reason, "success"]


async def test_a_lasting_failure_is_raised_after_some_attempts(client, server):
    route = server.post("/api/v1/query").mock(side_effect=httpx.ConnectError("refused"))
    with pytest.raises(errors.PrometheusUnreachable, match="refused"):
        await client.query("up", NOW)
    assert route.call_count == client.attempts


@pytest.mark.parametrize("status", [400, 401, 422])
async def test_a_failure_that_is_not_transient_is_not_tried_again(client, server, status):
    route = server.post("/api/v1/query").respond(status, json={"status": "error"})
    with pytest.raises(errors.PrometheusError):
        await client.query("up", NOW)
    assert route.call_count == 1


async def test_a_long_range_is_asked_for_in_pieces_that_the_server_accepts(client, server):
    asked: list[tuple[float, float]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent = httpx.QueryParams(request.content.decode())
        start, end, step = (float(sent[name]) for name in ("start", "end", "step"))
        asked.append((start, end))
        values = [[at, "2"] for at in range(int(start), int(end) + 1, int(step))]
        assert len(values) <= 11_000
        return httpx.Response(
            200, json=answer({"metric": {"resource": "cpu"}, "values": values}, kind="matrix")
        )

    server.post("/api/v1/query_range").mock(side_effect=respond)
    start, step = NOW - timedelta(days=30), timedelta(minutes=1)
    (series,) = await client.query_range("up", start, NOW, step)
    instants = [at for at, _ in series.samples]
    assert instants == [start.timestamp() + 60 * n for n in range(30 * 24 * 60 + 1)]
    assert len(asked) == 5


async def test_the_first_failing_piece_fails_the_range(client, server):
    server.post("/api/v1/query_range").respond(400, json={"status": "error", "error": "no"})
    with pytest.raises(errors.QueryRejected):
        await client.query_range("up", NOW - timedelta(days=30), NOW, timedelta(minutes=1))


async def test_credentials_are_sent_as_basic_authentication(server):
    route = server.post("/api/v1/query").respond(json=answer())
    client = PrometheusClient(URL, connection=Connection(auth=("ad:min", "s3cret")))
    await client.query("up", NOW)
    await client.aclose()
    sent = route.calls.last.request.headers["authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == "ad:min:s3cret"


# --- what a server answers is not to harm the Hub ------------------------------------------------


@pytest.mark.parametrize("compressed", [True, False])
async def test_an_answer_that_is_too_large_is_read_no_further(client, server, compressed):
    body = b" " * (LARGEST + 1)
    headers = {"content-type": "application/json"}
    if compressed:
        body, headers = gzip.compress(body), headers | {"content-encoding": "gzip"}
        assert len(body) < LARGEST / 500
    server.post("/api/v1/query").respond(content=body, headers=headers)
    with pytest.raises(errors.BadAnswer, match="larger than 64 MiB"):
        await client.query("up", NOW)


def sent(body, headers):
    """An answer that nothing has decoded yet."""
    return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))


def bomb(layers, length):
    """So many zeros, compressed so often."""
    body = b"\0" * length
    for _ in range(layers):
        body = gzip.compress(body, 1)
    return body


@pytest.mark.parametrize(
    ("encoding", "layers"),
    [
        ("gzip, gzip", 2),
        ("gzip, identity, x-gzip", 2),
        ("gzip,deflate", 1),
        ("br", 1),
        ("deflate", 1),
        ("zstd", 1),
        ("evil\u00e9", 1),
    ],
)
async def test_an_answer_is_decoded_once_at_the_most(encoding, layers):
    headers = [(b"content-encoding", encoding.encode("latin-1"))]
    with pytest.raises(errors.BadAnswer, match="wrong Content-Encoding"):
        await read_body(sent(bomb(layers, 1000), headers))


class Sent(httpx.AsyncByteStream):
    """A body that arrives in pieces of a size."""

    def __init__(self, body: bytes, size: int) -> None:
        self.body, self.size = body, size

    async def __aiter__(self):
        for start in range(0, len(self.body), self.size):
            yield self.body[start : start + self.size]
            await asyncio.sleep(0)  # as a connection's would


@pytest.mark.parametrize("pieces", [1, 1000])
async def test_what_decodes_to_much_takes_no_memory(pieces):
    """Three times what is read, in one piece or many: no more than the bound is made."""
    body = bomb(1, 3 * LARGEST)
    stream = Sent(body, len(body) // pieces + 1)
    response = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=stream)
    tracemalloc.start()
    try:
        with pytest.raises(errors.BadAnswer, match="larger than 64 MiB"):
            await read_body(response)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * LARGEST


@pytest.mark.parametrize(("encoded", "pieces"), [(True, 1), (True, 1000), (False, 1000)])
@pytest.mark.parametrize("size", [LARGEST, 3 * LARGEST])
async def test_a_large_answer_does_not_hold_the_event_loop(size, pieces, encoded):
    body = bomb(1, size) if encoded else bytes(size)
    begun = time.thread_time()
    # What reading takes on this machine, at the least: a copy, and decoding.
    copied = bytearray(bytes(LARGEST))
    if encoded:
        copied += zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, LARGEST)
    at_once = time.thread_time() - begun
    del copied
    headers = {"content-encoding": "gzip"} if encoded else {}
    stream = Sent(body, len(body) // pieces + 1)
    response = httpx.Response(200, headers=headers, stream=stream)
    held: list[float] = []
    over = asyncio.Event()

    async def watch():
        last = time.thread_time()
        while not over.is_set():
            await asyncio.sleep(0)
            now = time.thread_time()
            held.append(now - last)
            last = now

    # The collector looks through the objects of all tests, of which a Hub has none.
    gc.disable()
    watching = asyncio.create_task(watch())
    try:
        await read_body(response)
    except errors.BadAnswer:
        assert size > LARGEST
    else:
        assert size == LARGEST
    finally:
        over.set()
        await watching
        gc.enable()
    # Both are this thread's own time, whatever else the machine does. One copy is half of it.
    assert max(held) < at_once * 0.8, (max(held), at_once)


@pytest.mark.parametrize("size", [1, 100, 10**6])
@pytest.mark.parametrize("length", [0, 1, 19_999, 20_000, 20_001, 3_000_000])
@pytest.mark.parametrize("encoded", [True, False])
async def test_a_body_is_what_was_sent_in_whatever_pieces(size, length, encoded):
    text = bytes(number * number % 251 for number in range(min(length, 50_000)))
    text = (text * (length // max(len(text), 1) + 1))[:length]
    body = gzip.compress(text) if encoded else text
    if size == 1 and len(body) > 100_000:
        body, text = body[:100_000], text[:100_000]
    headers = {"content-encoding": "gzip"} if encoded else {}
    response = httpx.Response(200, headers=headers, stream=Sent(body, size))
    assert await read_body(response) == text


async def test_what_is_not_encoded_as_it_says_is_no_answer():
    with pytest.raises(errors.BadAnswer, match="is not gzip"):
        await read_body(sent(b"{}", {"content-encoding": "gzip"}))


async def test_one_encoding_is_asked_for_whatever_headers_are_configured(server):
    route = server.post("/api/v1/query").respond(json=answer())
    client = PrometheusClient(URL, connection=Connection(headers={"Accept-Encoding": "br"}))
    await client.query("up", NOW)
    await client.aclose()
    assert route.calls.last.request.headers.get_list("accept-encoding") == ["gzip"]


async def test_a_large_answer_that_is_one_is_read(client, server):
    many = [vector("1", resource="x" * 1000, number=str(number)) for number in range(2000)]
    body = gzip.compress(json.dumps(answer(*many)).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    server.post("/api/v1/query").respond(content=body, headers=headers)
    assert len(await client.query("up", NOW)) == 2000


@pytest.mark.parametrize(
    "said",
    [
        {"status": "error", "error": "evil\nINJECTED line \x1b[31mred" + "x" * 10_000},
        {"warnings": ["evil\nINJECTED line \x1b[31mred", "y" * 10_000]},
        {"status": "error\nINJECTED", "error": ""},
    ],
)
async def test_what_it_says_is_one_bounded_line(client, server, said):
    server.post("/api/v1/query").respond(json=answer(vector("1")) | said)
    with pytest.raises(errors.PrometheusError) as refused:
        await client.query("up", NOW)
    text = str(refused.value)
    assert text.isprintable()
    assert len(text) < 400


@asynccontextmanager
async def answering(body: bytes) -> AsyncIterator[str]:
    """A server that answers anything with this, and goes on; its address."""

    async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while asked := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)content-length: (\d+)", asked)
                await reader.readexactly(int(length[1]) if length else 0)
                writer.write(head % len(body) + body)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer_all, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_many_at_once_cost_no_more_each_than_few():
    """Hundreds of launches at once, each with several queries, wait for their turn."""
    body = json.dumps(answer(vector("1.5", resource="cpu"))).encode()
    seconds: dict[int, float] = {}
    async with answering(body) as url:
        for many in (20, 100, 1600):
            asking = PrometheusClient(url, request_timeout=timedelta(seconds=60))
            begun = time.thread_time()
            found = await asyncio.gather(*(asking.query("up", NOW) for _ in range(many)))
            seconds[many] = time.thread_time() - begun
            assert [one[0].last for one in found] == [1.5] * many
            await asking.aclose()
    # To look through all that wait took more than ten times as long for each.
    assert seconds[1600] / 1600 < 4 * seconds[100] / 100, seconds
