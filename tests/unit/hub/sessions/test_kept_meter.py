"""A meter that is kept up to date from the session log while servers come and go, Hubs are killed,
and the database is away: the dashboard's, which reads what was written, and the Hub's own.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.sources.session_log import SessionLog
from jupyterhub_usage_quotas.quotas.usage import Fresh
from tests.support.examples import FEW
from tests.support.recording import BEGIN, STEPS, World, live

REACH = timedelta(hours=2)


def at(instant: float) -> datetime:
    return datetime.fromtimestamp(instant, UTC)


class Watched(World):
    """The same, with meters that are refreshed with every heartbeat."""

    def __init__(self) -> None:
        super().__init__()
        self.dashboard = self.meter(self.database)
        self.own: Meter | None = None
        self.looks = 0

    def meter(self, records: Any) -> Meter:
        nowhere = PrometheusClient("http://nowhere.test")
        log = SessionLog("", records)
        return Meter(nowhere, [], others=[log], clock=lambda: at(self.now))

    def crash(self) -> None:
        super().crash()
        self.own = None

    async def beat(self) -> None:
        await super().beat()
        if self.recorder and self.recorder.found and self.own is None:
            self.own = self.meter(self.recorder)
        for one in (self.dashboard, self.own):
            if one:
                await one.refresh(REACH)
                while await one.extend():
                    pass

    async def is_right(self) -> None:
        """Whatever is known is true, up to when it is known."""
        for one in filter(None, (self.dashboard, self.own)):
            for user in ("ada", "bob"):
                found = one.peek([user], ["memory", "time"], REACH, at(self.now))[user]
                for resource, reading in found.items():
                    assert isinstance(reading, Fresh), reading
                    until = reading.usage.covered_until.timestamp()
                    assert until == self.now
                    known = reading.usage.between(BEGIN - 60, until)
                    true = self.truth(user, resource, BEGIN - 60, self.now)
                    assert known == pytest.approx(true, rel=1e-12), (user, resource)


@FEW
@given(steps=STEPS)
def test_a_kept_meter_is_right_to_the_second(steps):
    async def run() -> None:
        world = Watched()
        await live(world, steps)
        await world.passes(1)
        await world.beat()
        await world.is_right()

    asyncio.run(run())
