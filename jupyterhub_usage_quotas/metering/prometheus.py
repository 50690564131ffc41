"""The HTTP client of Prometheus: auth, retries, and answers that are checked before use.

API: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from ..errors import (
    BadAnswer,
    PartialAnswer,
    PrometheusError,
    PrometheusTimeout,
    PrometheusUnauthorized,
    PrometheusUnavailable,
    PrometheusUnreachable,
    QueryRejected,
)

MAX_POINTS = 10_000
"""Points per series in one request; Prometheus refuses more than 11,000."""

Observer = Callable[[str, float], None]
"""Told of every request: its outcome ("success" or an error's reason) and its seconds."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its labels, and `(Unix seconds, value)` in time order."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


class _Result(BaseModel):
    model_config = ConfigDict(strict=True)

    metric: dict[str, str]
    value: tuple[float, str] | None = None
    values: list[tuple[float, str]] | None = None


class _Data(BaseModel):
    resultType: str  # noqa: N815 the name that the API gives it
    result: list[_Result]


class _Answer(BaseModel):
    status: str
    data: _Data | None = None
    error: str = ""
    warnings: list[str] = []


class PrometheusClient:
    """Asks one Prometheus-compatible server.

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
        auth: tuple[str, str] | None = None,
        request_timeout: timedelta = timedelta(seconds=3),
        observer: Observer = lambda _outcome, _seconds: None,
    ) -> None:
        self._observer = observer
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/") + "/api/v1/",
            auth=auth,
            timeout=request_timeout.total_seconds(),
            limits=httpx.Limits(max_connections=8),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def query(self, promql: str, at: datetime) -> tuple[Series, ...]:
        """Evaluate at one instant. Raises `PrometheusError`."""
        return await self._ask("query", {"query": promql, "time": _unix(at.timestamp())})

    async def query_range(
        self, promql: str, start: datetime, end: datetime, step: timedelta
    ) -> tuple[Series, ...]:
        """Evaluate at every `step` from `start` to `end`, both included.

        Long ranges are asked for in several requests, and put together again.
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
        joined: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
        for chunk in await all_of(*chunks):
            for series in chunk:
                joined.setdefault(frozenset(series.labels.items()), []).extend(series.samples)
        return tuple(Series(dict(labels), tuple(samples)) for labels, samples in joined.items())

    async def _range_chunk(
        self, promql: str, start: float, end: float, step: float
    ) -> tuple[Series, ...]:
        parameters = {
            "query": promql,
            "start": _unix(start),
            "end": _unix(end),
            "step": _unix(step),
        }
        return await self._ask("query_range", parameters)

    async def _ask(self, endpoint: str, parameters: Mapping[str, str]) -> tuple[Series, ...]:
        """One request, tried again while the failure is transient."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(self.transient),
            wait=wait_random_exponential(multiplier=0.1, max=1),
            stop=stop_after_attempt(self.attempts),
            reraise=True,
        )
        series: tuple[Series, ...] = await retrying(self._observed, endpoint, parameters)
        return series

    async def _observed(self, endpoint: str, parameters: Mapping[str, str]) -> tuple[Series, ...]:
        started = time.perf_counter()
        outcome = "cancelled"
        try:
            data = await self._request(endpoint, parameters)
            series = tuple(_series(result) for result in data.result)
        except PrometheusError as error:
            outcome = error.reason
            raise
        else:
            outcome = "success"
            return series
        finally:
            self._observer(outcome, time.perf_counter() - started)

    async def _request(self, endpoint: str, parameters: Mapping[str, str]) -> _Data:
        try:
            response = await self._http.post(endpoint, data=dict(parameters))
        except httpx.TimeoutException as error:
            raise PrometheusTimeout(f"no answer in time ({type(error).__name__})") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PrometheusUnreachable(f"{type(error).__name__}: {error}") from error
        return _checked(response)


async def all_of(*calls: Coroutine[Any, Any, Any]) -> list[Any]:
    """Await all calls at once; the first exception ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    return [task.result() for task in tasks]


def _checked(response: httpx.Response) -> _Data:
    """The data of an answer that can be trusted; raises `PrometheusError` for any other."""
    status = response.status_code
    if status in (401, 403):
        raise PrometheusUnauthorized(f"HTTP {status}: check prometheus_auth")
    if status == 429 or status >= 500:  # noqa: PLR2004 the HTTP classes of "not now"
        raise PrometheusUnavailable(f"HTTP {status}")
    try:
        answer = _Answer.model_validate_json(response.content)
    except ValidationError as error:
        kind = response.headers.get("content-type", "no content type")
        message = f"HTTP {status} ({kind}) is not an answer of the Prometheus API"
        raise BadAnswer(message) from error
    if answer.status != "success" or answer.data is None or not response.is_success:
        raise QueryRejected(f"HTTP {status}: {answer.error or answer.status}")
    if answer.warnings:
        raise PartialAnswer("; ".join(answer.warnings))
    return answer.data


def _series(result: _Result) -> Series:
    raw: list[Any] = result.values if result.values is not None else [result.value]
    try:
        samples = tuple((float(instant), float(value)) for instant, value in raw)
    except (TypeError, ValueError) as error:
        raise BadAnswer(f"a sample of {result.metric} is not a number") from error
    if not all(math.isfinite(value) for _, value in samples):
        raise BadAnswer(f"a sample of {result.metric} is NaN or infinite")
    return Series(result.metric, samples)


def _unix(seconds: float) -> str:
    return f"{seconds:.3f}"
