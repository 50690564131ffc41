"""A circuit breaker: who failed again and again is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta


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
