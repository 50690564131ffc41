"""What every source of usage must do, whatever it is made of: one suite, run for each."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.sessions import SessionChanges, SqlSessions
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.sources.base import DescribedSource, PrometheusSource
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.sources.server_metrics import ServerMetrics
from jupyterhub_usage_quotas.metering.sources.session_log import SessionLog
from jupyterhub_usage_quotas.quotas.policy.selector import ServerSelector
from jupyterhub_usage_quotas.quotas.sessions import Session, SessionExtract, Watch
from jupyterhub_usage_quotas.quotas.subject import REST
from jupyterhub_usage_quotas.quotas.usage import Fresh, Reading, Unknown
from tests.support.cases.servers import (
    DAY,
    END,
    SERVERS,
    START,
    Names,
    Server,
    as_hub_metrics,
    as_named_pods,
    as_pods,
    as_sessions,
)
from tests.support.cluster import GIB, HOUR, NAMESPACE
from tests.support.faulty_proxy import faulty_proxy
from tests.support.programs import Span
from tests.support.recorded import NOW, instant, meter

BY_NAME = KubeStateMetrics(NAMESPACE, named=Names())
"""Identifies pods by name, which does not say which profile they have."""

Export = Callable[[Iterable[Server], int], Iterator[Any]]


@dataclass(frozen=True)
class Served:
    """What happened, where a source has it: a meter of that, which may be counted."""

    source: DescribedSource
    meter: Callable[[], Meter]
    counted: Callable[[], AbstractContextManager[tuple[Callable[[], Meter], Sequence[object]]]]
    """The same, and everything that was asked for since."""


class Kind(Protocol):
    """A kind of source, and how what happened gets into it."""

    export: Export

    def serve(self, things: Iterable[Any]) -> Served: ...


@dataclass(frozen=True)
class Exported:
    """A source in a real Prometheus."""

    export: Export
    source: PrometheusSource
    serve_history: Callable[..., str]

    def serve(self, things: Iterable[Span]) -> Served:
        url = self.serve_history(things)

        @contextmanager
        def counted() -> Iterator[tuple[Callable[[], Meter], Sequence[object]]]:
            with faulty_proxy(url) as proxy:
                yield lambda: meter(proxy.url, self.source), proxy.asked

        return Served(self.source, lambda: meter(url, self.source), counted)


class Records(SqlSessions):
    """Sessions in a real database, and what was asked for."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.asked: list[object] = []

    async def between(self, *span: Any) -> SessionExtract:
        self.asked.append(span)
        return await super().between(*span)


@dataclass(frozen=True)
class Recorded:
    """The session log in a real SQLite."""

    export: Export
    file: Callable[[], Path]

    def serve(self, things: Iterable[Session | Watch]) -> Served:
        url = f"sqlite:///{self.file()}"
        written = list(things)
        source = SessionLog(NAMESPACE, SqlSessions(Database(parse_ledger_url(url))))
        # There may be an event loop in this thread.
        with ThreadPoolExecutor(1) as other:
            other.submit(asyncio.run, self._write(url, written)).result()

        def made(records: SqlSessions | None = None) -> Meter:
            # Each for itself: an event loop of another test's is gone.
            records = records or SqlSessions(Database(parse_ledger_url(url)))
            nowhere = PrometheusClient("http://nowhere.test")
            return Meter(nowhere, [], others=[SessionLog(NAMESPACE, records)])

        @contextmanager
        def counted() -> Iterator[tuple[Callable[[], Meter], Sequence[object]]]:
            records = Records(Database(parse_ledger_url(url)))
            yield lambda: made(records), records.asked

        return Served(source, made, counted)

    async def _write(self, url: str, written: Sequence[Session | Watch]) -> None:
        records = SqlSessions(Database(parse_ledger_url(url)))
        sessions = list({one.id: one for one in written if isinstance(one, Session)}.values())
        for watch in written:
            if isinstance(watch, Watch):
                await records.write(SessionChanges(watch, sessions))
        await records.database.aclose()


KINDS: dict[str, tuple[Export, PrometheusSource | None]] = {
    "kube-state-metrics": (as_pods, KubeStateMetrics(NAMESPACE)),
    "kube-state-metrics, by name": (as_named_pods, BY_NAME),
    "hub": (as_hub_metrics, ServerMetrics(NAMESPACE)),
    "sessions": (as_sessions, None),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    export, source = KINDS[request.param]
    if source is not None:
        return Exported(export, source, request.getfixturevalue("serve_history"))

    def file() -> Path:
        databases = request.getfixturevalue("databases")
        copy = tmp_path_factory.mktemp("sessions") / "ledger.sqlite"
        return Path(shutil.copy(databases.sqlite, copy))

    return Recorded(export, file)


@pytest.fixture(scope="module")
def served(kind: Kind) -> Served:
    return kind.serve(kind.export(SERVERS, NOW))


async def read(served: Served, username: str) -> dict[str, Reading]:
    asked = served.meter()
    resources = ["memory", "cpu", "gpu", "time"]
    readings = await asked.read([username], resources, timedelta(days=1), instant(NOW))
    await asked.aclose()
    return dict(readings[username])


def used(reading: Reading) -> float:
    assert isinstance(reading, Fresh), reading
    return reading.usage.between(NOW - DAY, NOW)


@pytest.mark.parametrize(
    ("username", "memory", "cpu", "gpu", "hours"),
    [
        ("alice", 1, 1, 0, 1),
        ("two", 6, 1.5, 1, 2),
        ("twin", 1, 1, 0, 1),
        ("again", 2, 2, 0, 2),
        ("nobody", 0, 0, 0, 0),
    ],
)
async def test_usage_is_what_the_servers_asked_for(served, username, memory, cpu, gpu, hours):
    readings = await read(served, username)
    assert used(readings["memory"]) == pytest.approx(memory * GIB * HOUR)
    assert used(readings["cpu"]) == pytest.approx(cpu * HOUR)
    assert used(readings["gpu"]) == pytest.approx(gpu * HOUR)
    assert used(readings["time"]) == pytest.approx(hours * HOUR)


@pytest.mark.parametrize(
    ("servers", "gib_hours"),
    [
        ({"gpu": True}, 2),
        ({"gpu": False}, 1 + 4),
        ({"profile": ["small"]}, 1),
        ({"profile": ["*“cheap”*", "gpu-*"]}, 1 + 2),
        ({"profile": ["GPU {x}"]}, 2),
        ({"name": [""]}, 1),
        ({"name": ["work", "play"]}, 2 + 4),
        ({"name": ["p*"], "gpu": True}, 0),
    ],
)
async def test_usage_is_kept_by_what_selectors_can_name(served, servers, gib_hours):
    memory = (await read(served, "choosy"))["memory"]
    assert used(memory) == pytest.approx(7 * GIB * HOUR)
    selected = memory.usage.of(ServerSelector.model_validate(servers))
    if served.source is BY_NAME and "profile" in servers:
        gib_hours = 0
    assert selected.between(NOW - DAY, NOW) == pytest.approx(gib_hours * GIB * HOUR)


async def test_everybodys_usage_is_each_users(served):
    """Of everybody at once: the same as one by one, and what nobody else used."""
    asked = served.meter()
    readings = await asked.read(None, ["memory"], timedelta(days=1), instant(NOW))
    await asked.aclose()
    gib_hours = {user: used(one["memory"]) / (GIB * HOUR) for user, one in readings.items()}
    assert gib_hours == pytest.approx(
        {"alice": 1, "two": 6, "twin": 1, "again": 2, "choosy": 7, REST: 0}
    )


async def test_pods_of_no_known_server_are_reported_and_count_for_nobody(serve_history):
    asked = meter(serve_history(as_named_pods(SERVERS, NOW)), BY_NAME)
    readings = await asked.read(None, ["memory"], timedelta(days=1), instant(NOW))
    await asked.aclose()
    assert sum(used(one["memory"]) for one in readings.values()) == pytest.approx(
        (1 + 6 + 1 + 2 + 7) * GIB * HOUR
    )
    assert BY_NAME.named.left == {
        (NAMESPACE, name)
        for name in ("jupyter-alic--", "jupyter-alice--deleted", "jupyter-choosy--work--")
    }


async def test_usage_lies_where_it_was_used(served):
    readings = await read(served, "again")
    for bucket in readings["memory"].usage.buckets:
        assert bucket.start >= START - 2 * HOUR - 60
        assert bucket.end <= END + 60
    assert len(readings["memory"].usage.buckets) == 2


async def test_a_source_that_is_alive_is_fresh(served):
    readings = await read(served, "nobody")
    assert readings["time"].usage.covered_until == instant(NOW)


async def test_a_source_that_was_never_seen_is_unknown_by_its_name(kind):
    other = Span("up", {}, NOW - HOUR, NOW)
    served = kind.serve([other] if isinstance(kind, Exported) else [])
    reading = (await read(served, "alice"))["memory"]
    assert isinstance(reading, Unknown)
    assert reading.reason == "not_scraped"
    assert served.source.name in reading.detail


async def test_a_source_that_went_away_is_stale(kind):
    served = kind.serve(kind.export([], NOW - 2 * HOUR))
    reading = (await read(served, "alice"))["memory"]
    assert reading.reason == "stale"
    assert served.source.name in reading.detail


LONG_AGO = 40 * DAY


@pytest.mark.parametrize("days", [0, 40], ids=["nothing before", "the same, forty days before"])
async def test_a_history_with_long_gaps_is_known_by_few_queries(kind, days):
    """Half a year back, of a store that is a day old, or was away for more than a month."""
    # However long after this file was read the test runs.
    things = list(kind.export(SERVERS, NOW + 4 * HOUR))
    if days:
        things += [earlier(one) for one in things]
    with kind.serve(things).counted() as (made, asked_for):
        asked = made()
        reach = timedelta(days=180)
        await asked.read_history(reach)
        assert asked.complete
        # Less than all by a day: what was read ends when it was read, however late that was.
        known = await asked.read(["alice"], ["memory"], reach - timedelta(days=1), instant(NOW))
        memory = known["alice"]["memory"]
        await asked.aclose()
    assert isinstance(memory, Fresh)
    assert memory.usage.between(NOW - 180 * DAY, NOW) == pytest.approx(
        GIB * HOUR * (2 if days else 1)
    )
    # A day at a time would be a multiple of it; one that failed makes the next ones shorter.
    assert len(asked_for) < (400 if days else 100)


def earlier(one: Any) -> Any:
    """The same, forty days before."""
    if isinstance(one, Span):
        return replace(one, start=one.start - LONG_AGO, end=one.end - LONG_AGO)
    moved = {"started": one.started - LONG_AGO, "seen": one.seen - LONG_AGO, "id": f"{one.id}-"}
    if isinstance(one, Session):
        moved["ended"] = one.ended - LONG_AGO
    return replace(one, **moved)
