"""Trying policies on the past for pages: usage is read further back than the dashboard keeps it,
for a while; one at a time, and not for longer than a visitor waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ...errors import UsageQuotasError
from ...ledger.base import Ledger
from ...metering.client.worker import run_in_worker
from ...metering.meter import Meter
from ...quotas.policy.policy import PolicySet
from ...quotas.simulation.report import SimulationReport, simulation_report
from ...quotas.simulation.simulate import simulate
from ...quotas.subject import Subject
from ...quotas.usage import Unknown
from ...status.past import gather_past, reach_of

READ_WITHIN = 60.0
"""Seconds after which no more of the past is read: what was read is what is known."""
WORKED_OUT_WITHIN = 30.0
"""Seconds after which a simulation is given up."""
KEPT = 600.0
"""Seconds for which what was read is used again."""
USERS_AT_MOST = 20_000


class TooMuch(UsageQuotasError):
    """It takes longer than a visitor of a page waits."""


@dataclass
class Trying:
    """Tries policies on what a meter of its own reads; `make_meter` makes that."""

    make_meter: Callable[[], Meter]
    ledger: Ledger
    _meter: Meter | None = None
    _reach: timedelta = timedelta(0)
    _read: float = 0.0
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _forgetting: asyncio.TimerHandle | None = None
    _closing: asyncio.Future[None] | None = None

    async def aclose(self) -> None:
        """Forget what was read."""
        if self._forgetting:
            self._forgetting.cancel()
        if self._meter:
            await self._meter.aclose()
        self._meter = None

    async def on_past(
        self,
        policies: PolicySet,
        subjects: Sequence[Subject],
        start: datetime,
        now: datetime,
        share: float,
    ) -> SimulationReport | Unknown:
        """What policies would have done since an instant; Unknown where usage is not known. Raises
        `TooMuch`; may raise `LedgerUnavailable`.
        """
        if len(subjects) > USERS_AT_MOST:
            raise TooMuch
        async with self._one_at_a_time:
            meter = await self._having_read(reach_of(policies, start, now))
            past = await gather_past(policies, meter, self.ledger, subjects, start, now)
            if isinstance(past, Unknown):
                return past
            until = time.monotonic() + WORKED_OUT_WITHIN

            def keep_going() -> None:
                if time.monotonic() > until:
                    raise TooMuch

            def work() -> SimulationReport:
                return simulation_report(simulate(policies, past, keep_going), share)

            return await run_in_worker(work)

    async def _having_read(self, reach: timedelta) -> Meter:
        old = time.monotonic() - self._read > KEPT
        if self._meter is None or old or reach > self._reach:
            await self.aclose()
            self._meter, self._reach, self._read = self.make_meter(), reach, time.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(READ_WITHIN):
                    await self._meter.read_history(reach)
        if self._forgetting:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(KEPT, self._forget)
        return self._meter

    def _forget(self) -> None:
        if not self._one_at_a_time.locked():
            meter, self._meter = self._meter, None
            if meter:
                self._closing = asyncio.ensure_future(meter.aclose())
