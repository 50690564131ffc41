"""A circuit breaker, which stops queries for a while after several failures, and the guard of all
queries, which turns failures into reasons.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from ...conventions import Reason
from ...errors import PrometheusError, UsageUnknown
from ...quotas.units import show_duration
from ...quotas.usage import Unknown
from .promql import InvalidText

T = TypeVar("T")


class Breaker:
    """Opens after so many failures in a row, for a time that doubles with every further one.

    While it is open nobody should try. When the time is over, somebody may, and a success closes
    it; another failure opens it again at once. `clock` gives seconds that only grow.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        cool_down: timedelta = timedelta(seconds=15),
        longest: timedelta = timedelta(minutes=1),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed = failures
        self._cool_down = cool_down
        self._longest = longest
        self._clock = clock
        self._failures = 0
        self._open_until = float("-inf")

    @property
    def remaining(self) -> timedelta:
        """For how long nobody should try; zero when it is closed."""
        return timedelta(seconds=max(self._open_until - self._clock(), 0.0))

    def succeeded(self) -> None:
        """Note that an attempt was successful."""
        self._failures = 0
        self._open_until = float("-inf")

    def failed(self) -> None:
        """Note that an attempt failed."""
        self._failures += 1
        beyond = self._failures - self._allowed
        if beyond >= 0:
            # The exponent is bounded because the result is: a day of failures must not overflow.
            pause = min(self._cool_down * 2 ** min(beyond, 20), self._longest)
            self._open_until = self._clock() + pause.total_seconds()


class Guard:
    """Runs steps that query Prometheus, or what else is `named`, each within a time, or returns why
    one failed.

    After several failures it tries none for a while.
    """

    def __init__(self, breaker: Breaker, named: str = "Prometheus") -> None:
        self.breaker = breaker
        self._named = named
        self._failure: Unknown | None = None
        """Why a query failed last."""

    async def __call__(self, step: Callable[[], Awaitable[T]], allowed: timedelta) -> T | Unknown:
        """The result of a step, or why there is none."""
        pause = self.breaker.remaining
        if pause and self._failure:
            again = f"it is not queried again for {show_duration(pause)}"
            return replace(self._failure, detail=f"{self._failure.detail}; {again}")
        try:
            async with asyncio.timeout(allowed.total_seconds()):
                result = await step()
        except InvalidText as error:
            return Unknown(Reason.BAD_USERNAME, str(error))
        except UsageUnknown as error:
            asked = "Prometheus: " if isinstance(error, PrometheusError) else ""
            unknown = Unknown(error.reason, f"{asked}{error}")
            if not error.counts_against_prometheus:
                return unknown
            self._failure = unknown
        except TimeoutError:
            detail = f"{self._named}: no answer within {show_duration(allowed)}"
            self._failure = Unknown(Reason.TIMEOUT, detail)
        else:
            self.breaker.succeeded()
            return result
        self.breaker.failed()
        return self._failure
