"""Streams of events end with their connection, and hold nobody's event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from jupyterhub_usage_quotas.hub.credits import streams
from jupyterhub_usage_quotas.hub.credits.streams import Streaming, Ticks

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Counting(Streaming):
    """Counts what it sends, without the Hub around it."""

    prepare = RequestHandler.prepare
    set_default_headers = RequestHandler.set_default_headers
    write_error = RequestHandler.write_error

    def initialize(self, ticks: Ticks, made: list[int], last: Callable[[int], bool]) -> None:
        self.ticks, self.made, self.last = ticks, made, last

    async def get(self) -> None:
        async def make():
            self.made.append(len(self.made))
            return {"number": len(self.made)}, self.last(len(self.made))

        await self.stream(self.ticks, "ada", make)


@pytest.fixture
async def served():
    """A server of a stream: its port, what wakes it, and how often it made something."""
    made: list[int] = []
    ticks = Ticks()
    limit = [99]
    handler = (
        "/",
        Counting,
        {"ticks": ticks, "made": made, "last": lambda number: number >= limit[0]},
    )
    database = Session(create_engine("sqlite://"))
    server = HTTPServer(Application([handler], db=database))
    socket, port = bind_unused_port()
    server.add_socket(socket)
    yield port, ticks, made, limit
    server.stop()
    await server.close_all_connections()


async def opened(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
    return reader, writer


async def event(reader):
    while not (line := await asyncio.wait_for(reader.readline(), 10)).startswith(b"data: "):
        assert line
    return json.loads(line[6:])


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 what it waits for sets no event
            await asyncio.sleep(0.001)


async def test_it_says_what_is_now_and_after_each_refresh(served):
    port, ticks, _, _ = served
    reader, writer = await opened(port)
    assert await event(reader) == {"number": 1}
    await until(lambda: ticks._waiting)
    await ticks.refreshed(NOW)
    assert await event(reader) == {"number": 2}
    writer.close()


async def test_it_ends_with_its_connection(served):
    port, ticks, made, _ = served
    reader, writer = await opened(port)
    await event(reader)
    assert ticks.open["ada"] == 1
    writer.close()
    await until(lambda: not ticks.open)
    await until(lambda: not ticks._waiting)
    await ticks.refreshed(NOW)
    assert len(made) == 1


async def test_it_ends_when_there_is_nothing_more_to_say(served):
    port, ticks, _, limit = served
    limit[0] = 1
    reader, writer = await opened(port)
    await event(reader)
    await until(lambda: not ticks.open)
    writer.close()


async def test_something_is_sent_while_nothing_changes(served, monkeypatch):
    monkeypatch.setattr(streams, "KEEP_ALIVE", 0.01)
    port, _, made, _ = served
    reader, writer = await opened(port)
    await event(reader)
    for _ in range(5):
        assert await asyncio.wait_for(reader.readline(), 10)
    assert len(made) == 1
    writer.close()


async def test_one_user_has_a_bounded_number(served, monkeypatch):
    monkeypatch.setattr(streams, "MOST", 1)
    port, _, _, _ = served
    reader, writer = await opened(port)
    await event(reader)
    other, closing = await opened(port)
    assert b" 429 " in await asyncio.wait_for(other.readline(), 10)
    for one in (writer, closing):
        one.close()
