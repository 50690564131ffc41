"""The HTTP client of Prometheus: authentication, retries, and checked answers.

API: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from ...errors import (
    PrometheusError,
    PrometheusTimeout,
    PrometheusUnauthorized,
    PrometheusUnavailable,
    PrometheusUnreachable,
)
from ..events import NO_EVENTS, MeterEvents
from .body import ENCODING, read_body
from .connection import ANONYMOUS, Connection
from .response import Answer, read_answer
from .series import Series
from .tls import why_unreachable
from .worker import run_in_worker

MAX_POINTS = 10_000
"""Points per series in one request; Prometheus refuses more than 11,000."""

AT_ONCE = 8
"""Requests that are under way at a time; others wait for their turn, in order."""

LARGE = 20_000
"""Bytes of an answer that is not read on the event loop, so that others need not wait for it."""


class PrometheusClient:
    """Queries one Prometheus-compatible server.

    Transient failures (no connection, a time-out, 429 and 5xx) are tried again, with growing
    random pauses; the last one is raised. The whole is bounded by the caller, with
    `asyncio.timeout`. All failures are `PrometheusError`s.
    """

    transient = (PrometheusUnreachable, PrometheusTimeout, PrometheusUnavailable)
    attempts = 4

    def __init__(
        self,
        url: str,
        *,
        connection: Connection = ANONYMOUS,
        request_timeout: timedelta = timedelta(seconds=3),
        events: MeterEvents = NO_EVENTS,
    ) -> None:
        """`url` is the address, path prefix included; its parameters go with every request."""
        self._events = events
        address, _, parameters = url.partition("?")
        self._http = httpx.AsyncClient(
            base_url=address.rstrip("/") + "/api/v1/",
            params=httpx.QueryParams(parameters),
            timeout=request_timeout.total_seconds(),
            limits=httpx.Limits(max_connections=AT_ONCE),
            **connection.client_options(),
        )
        self._http.headers["Accept-Encoding"] = ENCODING
        # The pool looks through all that wait whenever one comes or goes: it is to have none.
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def query(self, promql: str, at: datetime) -> Answer:
        """Evaluate at one instant. Raises `PrometheusError`."""
        return await self._ask("query", {"query": promql, "time": _unix(at.timestamp())})

    async def query_range(
        self, promql: str, start: datetime, end: datetime, step: timedelta
    ) -> Answer:
        """Evaluate at every `step` from `start` to `end`, both included.

        Long ranges are split into several requests, and the answers joined.
        Raises `PrometheusError`.
        """
        seconds = step.total_seconds()
        first, last = start.timestamp(), end.timestamp()
        span = MAX_POINTS * seconds
        chunks = [
            self._range_chunk(promql, begin, min(begin + span - seconds, last), seconds)
            for begin in (
                first + index * span for index in range(math.floor((last - first) / span) + 1)
            )
        ]
        answers: list[Answer] = await all_of(*chunks)
        if len(answers) == 1:
            return answers[0]
        joined: dict[frozenset[tuple[str, str]], Series] = {}
        for series in (one for answer in answers for one in answer):
            known = joined.setdefault(frozenset(series.labels.items()), series)
            if known is not series:
                known.instants.extend(series.instants)
                known.values.extend(series.values)
        return Answer(joined.values())

    async def _range_chunk(self, promql: str, start: float, end: float, step: float) -> Answer:
        parameters = {
            "query": promql,
            "start": _unix(start),
            "end": _unix(end),
            "step": _unix(step),
        }
        return await self._ask("query_range", parameters)

    async def _ask(self, endpoint: str, parameters: Mapping[str, str]) -> Answer:
        """One request, tried again while the failure is transient."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(self.transient),
            wait=wait_random_exponential(multiplier=0.1, max=1),
            stop=stop_after_attempt(self.attempts),
            reraise=True,
        )
        answer: Answer = await retrying(self._observed, endpoint, parameters)
        return answer

    async def _observed(self, endpoint: str, parameters: Mapping[str, str]) -> Answer:
        started = time.perf_counter()
        outcome = "cancelled"
        try:
            answer = await self._request(endpoint, parameters)
        except PrometheusError as error:
            outcome = error.reason
            raise
        else:
            outcome = "success"
            return answer
        finally:
            self._events.requested(outcome, time.perf_counter() - started)

    async def page(self, path: str) -> httpx.Response:
        """A page of the API that is no query, for example "status/buildinfo"; requested once.

        Whatever its status is: hosted servers have few such pages, or refuse them. Raises
        `PrometheusError` where there is no answer.
        """
        return await self._send("GET", path)

    async def _send(
        self, method: str, path: str, data: Mapping[str, str] | None = None
    ) -> httpx.Response:
        try:
            async with self._turn, self._http.stream(method, path, data=data) as response:
                content = await read_body(response)
        except httpx.TimeoutException as error:
            raise PrometheusTimeout(f"no answer in time ({type(error).__name__})") from error
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise PrometheusUnreachable(why_unreachable(error)) from error
        # Those are about the body as it was sent.
        about_body = {"content-encoding", "content-length", "transfer-encoding"}
        headers = [one for one in response.headers.multi_items() if one[0] not in about_body]
        return httpx.Response(
            response.status_code, headers=headers, content=content, request=response.request
        )

    async def _request(self, endpoint: str, parameters: Mapping[str, str]) -> Answer:
        response = await self._send("POST", endpoint, parameters)
        _require_an_answer(response.status_code)
        content = response.content
        kind = response.headers.get("content-type", "no content type")
        where, success = f"HTTP {response.status_code} ({kind})", response.is_success
        if len(content) < LARGE:
            return read_answer(content, where=where, success=success, asked=parameters)
        return await run_in_worker(
            read_answer, content, where=where, success=success, asked=parameters
        )


async def all_of(*calls: Coroutine[Any, Any, Any]) -> list[Any]:
    """Await all calls at once; the first exception ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    return [task.result() for task in tasks]


def _require_an_answer(status: int) -> None:
    """Raise a `PrometheusError` for a status with which there is no answer."""
    if status in (401, 403):
        raise PrometheusUnauthorized(f"HTTP {status}: it does not accept our credentials")
    if status == 429 or status >= 500:  # noqa: PLR2004 the HTTP classes of "not now"
        raise PrometheusUnavailable(f"HTTP {status}")


def _unix(seconds: float) -> str:
    return f"{seconds:.3f}"
