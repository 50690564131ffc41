"""The meter behind a proxy that delays, cuts, corrupts, lies and refuses: what is known stays
whole, readings say how old they are and why, and one good refresh makes everything well again.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from jupyterhub_usage_quotas import conventions as names
from jupyterhub_usage_quotas.metering.client.breaker import Breaker
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.readers import Timing
from jupyterhub_usage_quotas.metering.snapshot import UsageSnapshot
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.timelines import parts_of
from jupyterhub_usage_quotas.quotas.charge import Readings
from jupyterhub_usage_quotas.quotas.usage import Fresh, Stale, Unknown
from tests.support import faulty_proxy as faults
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.faulty_proxy import FaultyProxy, faulty_proxy
from tests.support.meter_events import OnRefresh, OnRequest
from tests.support.programs import Program, Span, backfill, find_program, free_port
from tests.support.recorded import NOW, instant

MINUTE = 60
BEGIN = NOW - 2 * HOUR
"""When the clock of each test begins; what comes after is recorded, but in its future."""
REACH = timedelta(hours=6)
RESOURCES = ["memory", "cpu", "time"]


def pod(username: str, start: int, end: int, **options: object) -> Pod:
    settings = {"name": f"jupyter-{username}", "uid": f"{username}-{start}"}
    return Pod(username, start, end, **(settings | options))


PODS = [
    pod("alice", NOW - 7 * HOUR, NOW - 5 * HOUR, memory=2.0 * GIB),
    pod("alice", NOW - 3 * HOUR, NOW, cpu=0.5),
    pod("bob", NOW - 4 * HOUR, BEGIN + 20 * MINUTE, memory=4.0 * GIB),
    pod("bob", BEGIN + 9 * MINUTE, NOW - 600, name="jupyter-bob--x", server="x", cpu=2),
    pod("cleo", BEGIN + 2 * MINUTE, BEGIN + 40 * MINUTE),
]
USERS = ["alice", "bob", "cleo", "dan"]


def history() -> Iterator[Span]:
    yield from hub_pod(NOW - 10 * HOUR, NOW)
    for one in PODS:
        yield from one.spans


def truth(username: str, resource: str, now: datetime, over: timedelta = REACH) -> float:
    """What the pods ran: every sample stands for the minute before it, and with the look-back of
    this Prometheus the last one is seen twice.
    """
    total, end = 0.0, now.timestamp()
    for one in PODS:
        if one.username == username:
            ran = min(one.end + 60, end) - max(one.start - 60, end - over.total_seconds())
            total += max(ran, 0) * {"memory": one.memory, "cpu": one.cpu, "time": 1}[resource]
    return total


@dataclass
class Clock:
    """The time, as far as the test has let it pass."""

    now: datetime
    seconds: float = 0.0

    def pass_(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


@dataclass
class Kept:
    """A meter behind the proxy that is kept by hand, and what it said."""

    meter: Meter
    clock: Clock
    proxy: FaultyProxy
    failures: list[Unknown] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """How each request ended, also one that was given up, which the proxy may see later."""

    async def refresh(self) -> None:
        await self.meter.refresh(REACH)

    async def begin(self) -> None:
        """Read the whole history."""
        await self.refresh()
        while await self.meter.extend():
            pass
        assert self.meter.complete
        assert not self.failures

    async def read(self, users: list[str] = USERS, over: timedelta = REACH) -> Any:
        return await self.meter.read(users, RESOURCES, over, self.clock.now)

    @property
    def known(self) -> UsageSnapshot:
        (known,) = self.meter.snapshots
        return known


def used(readings: Mapping[str, Readings], now: datetime) -> dict[tuple[str, str], float]:
    found = {}
    for user, of_user in readings.items():
        for resource, reading in of_user.items():
            assert isinstance(reading, Fresh), (user, resource, reading)
            start = (now - REACH).timestamp()
            found[user, resource] = reading.usage.between(start, now.timestamp())
    return found


def everything(known: UsageSnapshot) -> object:
    """All that a snapshot says, copied out of it."""
    usage = {
        user: {key: [*timeline] for key, timeline in parts_of(kept)}
        for user, kept in known.usage.items()
    }
    return usage, known.coverage, known.unmeasured, known.recent


def expected(now: datetime) -> dict[tuple[str, str], object]:
    return {
        (user, resource): pytest.approx(truth(user, resource, now), rel=1e-9)
        for user in USERS
        for resource in RESOURCES
    }


@pytest.fixture(scope="module")
def url(serve_history: Callable[..., str]) -> str:
    return serve_history(history())


@pytest.fixture
def proxy(url: str) -> Iterator[FaultyProxy]:
    with faulty_proxy(url) as proxy:
        yield proxy


@pytest.fixture
async def make(proxy: FaultyProxy) -> AsyncIterator[Callable[..., Kept]]:
    made: list[Kept] = []

    def make(
        *,
        hangs: bool = False,
        breaker: Breaker | None = None,
        to: FaultyProxy = proxy,
        **timing: Any,
    ) -> Kept:
        # Where it is a time-out that is waited for, it is waited for once.
        requests: list[str] = []
        client = PrometheusClient(
            to.url,
            request_timeout=timedelta(seconds=2 if hangs else 30),
            events=OnRequest(lambda outcome, _: requests.append(outcome)),
        )
        client.attempts = 1 if hangs else PrometheusClient.attempts
        clock = Clock(instant(BEGIN))
        kept: Kept

        def tell(why: Unknown | None, error: Exception | None) -> None:
            kept.failures += [why] if why else []
            kept.errors += [error] if error else []

        patient = {"deadline": timedelta(seconds=60), "refresh_deadline": timedelta(seconds=60)}
        meter = Meter(
            client,
            [KubeStateMetrics(NAMESPACE)],
            Timing(**(patient | timing)),
            events=OnRefresh(tell),
            clock=lambda: clock.now,
            breaker=breaker or Breaker(failures=1000),
        )
        kept = Kept(meter, clock, to, requests=requests)
        made.append(kept)
        return kept

    yield make
    proxy.let_go.set()
    for one in made:
        await one.meter.aclose()
        assert one.errors == [], "no fault of anybody else's is one of ours"


FAULTS: dict[str, tuple[Callable[[FaultyProxy], None], str]] = {
    name: (lambda proxy, fault=fault: proxy.always(fault), reason)
    for name, (fault, reason) in {
        "the connection breaks": (faults.reset, "unreachable"),
        "the answer is cut": (faults.cut, "unreachable"),
        "the answer is truncated": (faults.truncated, "bad_answer"),
        "bytes are corrupted": (faults.corrupted(7), "bad_answer"),
        "HTML": (faults.html, "bad_answer"),
        "a vector for a matrix": (faults.another_type, "bad_answer"),
        "a number": (faults.scalar, "bad_answer"),
        "NaN": (faults.not_a_number, "bad_answer"),
        "every series twice": (faults.twice, "bad_answer"),
        "a warning": (faults.warned, "partial_answer"),
        "answers of an hour ago": (faults.earlier(3600), "bad_answer"),
        "answers of a minute ago": (faults.earlier(60), "bad_answer"),
        "answers are mixed up": (faults.of_another_query, "bad_answer"),
        "429": (faults.status(429, Retry_After="3600"), "unavailable"),
        "503": (faults.status(503, Retry_After="3600"), "unavailable"),
        "500": (faults.status(500), "unavailable"),
        "404": (faults.status(404), "bad_answer"),
        "401": (faults.status(401), "unauthorized"),
        "too many samples": (
            faults.api_error(422, "execution", "query processing would load too many samples"),
            "query_rejected",
        ),
        "it hangs": (faults.hang, "timeout"),
    }.items()
} | {"the connection is refused": (FaultyProxy.refuse, "unreachable")}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_leaves_what_is_known_and_one_good_refresh_makes_it_well(make, proxy, fault):
    begin, reason = FAULTS[fault]
    kept = make(hangs=reason == "timeout")
    await kept.begin()
    old, before = kept.known, everything(kept.known)
    numbers = used(await kept.read(), kept.clock.now)
    assert numbers == expected(kept.clock.now)

    begin(proxy)
    kept.clock.pass_(1)
    await kept.refresh()
    assert [one.reason for one in kept.failures] == [reason], kept.failures
    assert kept.known is old
    assert everything(old) == before

    kept.clock.pass_(9)
    known_until = instant(BEGIN)
    for reading in (await kept.read())["alice"].values():
        assert isinstance(reading, Fresh)
        assert reading.usage.covered_until == known_until
    kept.clock.pass_(1)
    await kept.refresh()
    for reading in (await kept.read())["alice"].values():
        assert isinstance(reading, Stale)
        assert (reading.reason, reading.usage.covered_until) == (reason, known_until)
        assert reading.detail.startswith("Prometheus: ")
    assert everything(old) == before

    proxy.always(faults.honest)
    proxy.let_go.set()
    if proxy._server is None:
        proxy.listen()
    kept.clock.pass_(1)
    await kept.refresh()
    assert used(await kept.read(), kept.clock.now) == expected(kept.clock.now)
    assert used(await kept.read(), kept.clock.now) == await fresh_numbers(make, kept.clock)
    assert everything(old) == before, "and who still holds what was known then sees that"


async def test_nothing_at_all_is_no_reason_to_forget_what_is_known(make, proxy):
    """An empty answer is none that fails. But what had been seen before is in it no more, so it
    does not say that nothing was used.
    """
    kept = make()
    await kept.begin()
    old = kept.known
    proxy.always(faults.empty)
    for minutes, kind in ((1, Fresh), (9, Fresh), (1, Stale), (100, Stale)):
        kept.clock.pass_(minutes)
        await kept.refresh()
        assert not kept.failures
        assert kept.known.coverage.end == old.coverage.end
        for resource, reading in (await kept.read())["bob"].items():
            assert isinstance(reading, kind)
            since = reading.usage.between(BEGIN - 3 * HOUR, kept.clock.now.timestamp())
            assert since == truth("bob", resource, instant(BEGIN), timedelta(hours=3))
            if kind is Stale:
                assert reading.reason == "stale"
                assert "last scraped" in reading.detail
    proxy.always(faults.honest)
    await kept.refresh()
    assert used(await kept.read(), kept.clock.now) == expected(kept.clock.now)


@pytest.mark.parametrize("most", [11_000, 70], ids=["at once", "in short pieces"])
async def test_what_comes_late_after_hours_is_read_then(make, proxy, most):
    """Samples that were held back, as by a broken remote write: no answer had anything."""
    kept = make()
    proxy.plan = refuses(TOO_MANY, most)
    await kept.begin()
    proxy.plan = refuses(TOO_MANY, most, otherwise=faults.empty)
    for _ in range(12):
        kept.clock.pass_(9)
        await kept.refresh()
    assert isinstance((await kept.read())["alice"]["memory"], Stale)
    proxy.plan = refuses(TOO_MANY, most)
    await kept.refresh()
    assert not kept.failures
    assert used(await kept.read(), kept.clock.now) == expected(kept.clock.now)


async def test_a_history_of_which_nothing_was_told_is_read_again_when_it_is(make, proxy):
    """The Hub was started before the stores were there, which say nothing of that."""
    kept = make()
    proxy.always(faults.empty)
    for _ in range(3):
        await kept.refresh()
        while await kept.meter.extend():
            pass
        kept.clock.pass_(1)
    reading = (await kept.read())["alice"]["memory"]
    assert isinstance(reading, Unknown)
    assert reading.reason == "not_scraped"
    proxy.always(faults.honest)
    await kept.begin()
    assert used(await kept.read(), kept.clock.now) == expected(kept.clock.now)


@pytest.mark.parametrize("minutes", [1, 5, 9, 15])
async def test_a_history_that_begins_just_after_the_window_is_read_once(make, proxy, minutes):
    """There is nothing before it that could bridge the gap at its beginning."""
    kept = make()
    begins = NOW - 10 * HOUR
    reach = instant(BEGIN) - instant(begins - minutes * MINUTE)
    pieces = 0
    await kept.meter.refresh(reach)
    while await kept.meter.extend():
        pieces += 1
        assert pieces < 20
    assert kept.meter.complete
    reading = (await kept.meter.read(["bob"], ["memory"], reach, kept.clock.now))["bob"]["memory"]
    assert isinstance(reading, Fresh)
    assert reading.usage.between(0, NOW) == truth("bob", "memory", kept.clock.now)


async def fresh_numbers(make, clock: Clock) -> dict[tuple[str, str], float]:
    """What a meter says that has just been started."""
    other = make()
    other.clock.now = clock.now
    await other.begin()
    return used(await other.read(), clock.now)


async def test_who_holds_what_was_known_sees_it_unchanged_while_more_is_learnt(make):
    kept = make()
    held: list[tuple[UsageSnapshot, object]] = []
    await kept.refresh()
    for _ in range(12):
        held.append((kept.known, everything(kept.known)))
        await kept.meter.extend()
        held.append((kept.known, everything(kept.known)))
        kept.clock.pass_(3)
        await kept.refresh()
    assert len({id(known) for known, _ in held}) > 12
    assert all(everything(known) == then for known, then in held)
    assert used(await kept.read(), kept.clock.now) == expected(kept.clock.now)


# --- slow, and one at a time ----------------------------------------------------------------------


async def held_back(proxy: FaultyProxy) -> None:
    """Wait until a request hangs at the proxy."""
    assert await asyncio.to_thread(proxy.waiting.acquire, timeout=60)


async def test_a_refresh_that_hangs_delays_no_reading(make, proxy):
    kept = make()
    await kept.begin()
    proxy.always(faults.hang)
    kept.clock.pass_(2)
    refresh = asyncio.ensure_future(kept.refresh())
    await held_back(proxy)
    readings = await asyncio.gather(*(kept.read([user]) for user in USERS * 25))
    at_hand = kept.meter.peek(None, RESOURCES, REACH, kept.clock.now)
    assert not refresh.done(), "all of them came while it hung"
    narrowed = [one.query for one in proxy.asked if any(f'"{user}"' in one.query for user in USERS)]
    assert narrowed == [], "and none of them asked"
    assert all(isinstance(one["memory"], Fresh) for each in readings for one in each.values())
    assert {*at_hand} == {"alice", "bob", ""}
    proxy.let_go.set()
    await refresh
    assert used(await kept.read(), kept.clock.now) == expected(kept.clock.now)


async def test_while_a_refresh_hangs_a_stale_reading_says_why_the_one_before_it_failed(make, proxy):
    kept = make()
    await kept.begin()
    proxy.always(faults.status(503))
    kept.clock.pass_(11)
    await kept.refresh()
    proxy.always(faults.hang)
    refresh = asyncio.ensure_future(kept.refresh())
    await held_back(proxy)
    reading = (await kept.read())["alice"]["memory"]
    assert isinstance(reading, Stale)
    assert reading.reason == "unavailable"
    proxy.let_go.set()
    await refresh


async def test_refreshes_and_pieces_of_the_history_never_overlap_on_the_wire(make, proxy):
    kept = make()
    await kept.refresh()
    proxy.always(faults.hang)
    before = len(proxy.asked)
    kept.clock.pass_(1)
    first = asyncio.ensure_future(kept.refresh())
    await held_back(proxy)
    first_until = kept.clock.now.timestamp()
    kept.clock.pass_(1)
    others = [asyncio.ensure_future(kept.refresh()), asyncio.ensure_future(kept.meter.extend())]
    others.append(asyncio.ensure_future(kept.refresh()))
    for _ in range(5):
        await kept.meter.read([], RESOURCES, timedelta(minutes=30), kept.clock.now)
    assert {one.until for one in proxy.asked[before:]} == {first_until}
    proxy.let_go.set()
    await asyncio.gather(first, *others)
    asked = proxy.asked[before:]
    of_first = [one for one in asked if one.until == first_until]
    rest = [one for one in asked if one.until != first_until]
    assert rest
    assert max(one.finished for one in of_first) < min(one.number for one in rest)
    of_history = [one for one in rest if one.until < first_until]
    assert of_history, "a piece of the history was read, too"
    for one in rest:
        for other in of_history:
            if one not in of_history:
                assert one.finished < other.number or other.finished < one.number


@pytest.mark.parametrize("timing", ["deadline", "refresh_deadline"])
async def test_what_hangs_ends_with_our_own_deadline(make, proxy, timing):
    """Whatever the time-out of a request is."""
    kept = make(**{timing: timedelta(milliseconds=200)})
    proxy.always(faults.hang)
    if timing == "refresh_deadline":
        await kept.refresh()
        (reason,) = {one.reason for one in kept.failures}
    else:
        reason = (await kept.read(["alice"]))["alice"]["memory"].reason
    assert reason == "timeout"


# --- the circuit breaker --------------------------------------------------------------------------


async def test_the_breaker_opens_and_nobody_is_asked_until_it_closes(make, proxy):
    clock = Clock(instant(BEGIN))
    breaker = Breaker(failures=3, cool_down=timedelta(seconds=30), clock=lambda: clock.seconds)
    kept = make(breaker=breaker)
    await kept.begin()
    proxy.always(faults.status(503))
    counted = [len(kept.requests)]
    for _ in range(6):
        kept.clock.pass_(1)
        await kept.refresh()
        counted.append(len(kept.requests))
    assert counted[0] < counted[1] < counted[2] < counted[3], "three are tried"
    assert counted[3:] == [counted[3]] * 4, "and no more"
    assert "not queried again for" in kept.failures[-1].detail
    assert kept.failures[-1].reason == "unavailable"

    # Launches that would ask are told at once, the history waits, and what is known is read.
    longer = await kept.read(["alice"], REACH * 3)
    assert longer["alice"]["memory"].reason == "unavailable"
    assert await kept.meter.extend() is False
    assert isinstance((await kept.read(["alice"]))["alice"]["memory"], Fresh)
    assert len(kept.requests) == counted[3]

    clock.seconds += 29
    await kept.refresh()
    assert len(kept.requests) == counted[3]
    proxy.always(faults.honest)
    clock.seconds += 1
    await kept.refresh()
    assert len(kept.requests) > counted[3]
    assert used(await kept.read(), kept.clock.now) == expected(kept.clock.now)
    # All begins anew: it takes three failures again.
    proxy.always(faults.status(503))
    for _ in range(3):
        asked = len(kept.requests)
        kept.clock.pass_(1)
        await kept.refresh()
        assert len(kept.requests) > asked
    asked = len(kept.requests)
    await kept.refresh()
    assert len(kept.requests) == asked


async def test_launches_open_the_breaker_too_and_a_good_one_closes_it(make, proxy):
    clock = Clock(instant(BEGIN))
    breaker = Breaker(failures=2, cool_down=timedelta(seconds=30), clock=lambda: clock.seconds)
    kept = make(breaker=breaker)
    proxy.always(faults.reset)
    for _ in range(2):
        assert (await kept.read(["alice"]))["alice"]["memory"].reason == "unreachable"
    counted = len(kept.requests)
    for _ in range(10):
        assert (await kept.read(["alice"]))["alice"]["memory"].reason == "unreachable"
    assert len(kept.requests) == counted
    proxy.always(faults.honest)
    clock.seconds += 30
    assert isinstance((await kept.read(["alice"]))["alice"]["memory"], Fresh)
    await kept.begin()


async def test_a_server_that_is_busy_is_not_asked_again_and_again(make, proxy):
    """Each question some times, and none that would have come after its answer; then not at all."""
    kept = make(breaker=Breaker(clock=lambda: 0.0))
    proxy.always(faults.status(429, Retry_After="3600"))
    for _ in range(20):
        await kept.refresh()
        await kept.read(["alice"])
        kept.clock.pass_(1)
    counted = Counter(one.body for one in proxy.asked)
    assert max(counted.values()) <= PrometheusClient.attempts
    assert len(counted) <= 40
    assert not any("status_phase" in one.query and one.points == 1 for one in proxy.asked)


# --- before the history is read -------------------------------------------------------------------


async def test_a_launch_before_the_history_is_read_asks_about_that_user_alone(make, proxy):
    kept = make()
    for user in ("bob", "nobody"):
        readings = await kept.read([user])
        numbers = used(readings, kept.clock.now)
        assert numbers == {
            (user, resource): pytest.approx(truth(user, resource, kept.clock.now), rel=1e-9)
            for resource in RESOURCES
        }
    answers = b"".join(one.answered for one in proxy.asked)
    assert b"bob" in answers
    assert b"alice" not in answers
    assert b"cleo" not in answers
    about_pods = [one.query for one in proxy.asked if "annotation_hub_jupyter_org" in one.query]
    assert about_pods
    # Of others it is only asked whether anybody is told of at all.
    assert all(
        '="bob"' in query or '="nobody"' in query or query.startswith(("count(", "group("))
        for query in about_pods
    )
    assert not kept.meter.snapshots


async def test_a_launch_amid_the_history_asks_only_if_it_needs_what_is_not_read_yet(make, proxy):
    kept = make()
    await kept.refresh()
    counted = len(kept.requests)
    assert isinstance((await kept.read(["bob"], timedelta(minutes=50)))["bob"]["time"], Fresh)
    assert len(kept.requests) == counted
    numbers = used(await kept.read(["bob"]), kept.clock.now)
    assert numbers["bob", "memory"] == pytest.approx(truth("bob", "memory", kept.clock.now))
    assert len(kept.requests) > counted


@pytest.mark.parametrize(
    "lie",
    [
        faults.with_labels("annotation_hub_jupyter_org_username", "bob"),
        faults.with_labels("uid", "somebody-elses"),
        faults.earlier(3600),
        faults.of_another_query,
        faults.another_type,
        faults.twice,
        faults.not_a_number,
    ],
    ids=["of another user", "of another pod", "old", "mixed up", "vector", "twice", "NaN"],
)
async def test_a_launch_that_is_lied_to_is_never_told_zero(make, proxy, lie):
    kept = make()
    proxy.always(lie)
    (readings,) = (await kept.read(["alice"])).values()
    for resource, reading in readings.items():
        if isinstance(reading, Fresh):
            total = reading.usage.between(0, kept.clock.now.timestamp())
            assert total == pytest.approx(truth("alice", resource, kept.clock.now)), resource
        else:
            assert reading.reason == "bad_answer"


async def test_a_month_by_the_minute_is_more_points_than_prometheus_gives_at_once(make, proxy):
    kept = make()
    readings = await kept.read(["alice"], timedelta(days=30))
    reading = readings["alice"]["memory"]
    assert isinstance(reading, Fresh), reading
    assert reading.usage.between(0, BEGIN) == truth(
        "alice", "memory", kept.clock.now, timedelta(days=30)
    )
    assert max(one.points for one in proxy.asked) <= 11_000
    whole = [one.points for one in proxy.asked if one.query.startswith("kube_pod_status_phase{")]
    assert sum(whole) >= 30 * 24 * 60


async def test_a_hundred_kilobytes_of_labels_do_no_harm(make, serve_history):
    """Annotations may be as long, and the allow-list may be all of them."""
    labels = {f"annotation_note_{number}": "x" * 10_000 for number in range(10)}
    pods = [pod(f"user-{number}", NOW - 5 * HOUR, NOW, extra=labels) for number in range(3)]
    spans = [
        span if span.metric == names.KSM_ANNOTATIONS else replace(span, labels=without)
        for one in pods
        for span in one.spans
        for without in [{name: span.labels[name] for name in span.labels.keys() - labels.keys()}]
    ]
    with faulty_proxy(serve_history([*hub_pod(NOW - 5 * HOUR, NOW), *spans])) as to:
        kept = make(to=to)
        kept.clock.now = instant(NOW)
        for keep in (False, True):
            if keep:
                await kept.begin()
            reading = (await kept.read(["user-1"]))["user-1"]["time"]
            assert isinstance(reading, Fresh)
            assert reading.usage.between(0, NOW) == 5 * HOUR + MINUTE
        assert to.sent < 100_000


# --- limits of the server -------------------------------------------------------------------------

BUSY_DAYS = 3
BUSY_BEGIN = NOW - BUSY_DAYS * 24 * HOUR
BUSY = {f"user-{number}": GIB * (1 + number) for number in range(30)}


def busy_history() -> Iterator[Span]:
    """Servers that run all the time: many samples, and usage that is easily told."""
    yield from hub_pod(BUSY_BEGIN, NOW)
    for user, memory in BUSY.items():
        yield from pod(user, BUSY_BEGIN, NOW, memory=memory).spans


@pytest.fixture(scope="module")
def serve_limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """A function that starts a Prometheus with the busy history and these flags."""
    running: list[Program] = []
    directory = tmp_path_factory.mktemp("limited")
    backfill(directory, busy_history())

    def serve(*flags: str) -> str:
        url = f"http://127.0.0.1:{free_port()}"
        mine = tmp_path_factory.mktemp("prometheus")
        shutil.copytree(directory / "data", mine / "data")
        (mine / "prometheus.yml").write_text("{}")
        command = [
            find_program("prometheus", "on Debian, `apt-get install prometheus`"),
            f"--config.file={mine / 'prometheus.yml'}",
            f"--storage.tsdb.path={mine / 'data'}",
            "--storage.tsdb.retention.time=1y",
            f"--web.listen-address={url.removeprefix('http://')}",
            "--query.lookback-delta=75s",
            *flags,
        ]
        running.append(Program(command, mine / "prometheus.log"))
        running[-1].wait_for_url(f"{url}/-/ready")
        return url

    yield serve
    for one in running:
        one.stop()


BUSY_REACH = timedelta(hours=40)


async def read_all(kept: Kept) -> int:
    """Read the whole history as `Meter.keep` does; returns how many refreshes that took."""
    for refreshes in range(1, 30):
        await kept.meter.refresh(BUSY_REACH)
        while await kept.meter.extend():
            pass
        if kept.meter.complete:
            return refreshes
        kept.clock.pass_(1)
    raise AssertionError(f"it was not read: {kept.failures}")


def is_busy_truth(readings: Mapping[str, Readings], now: datetime) -> None:
    start = (now - BUSY_REACH).timestamp()
    for user, memory in BUSY.items():
        reading = readings[user]["memory"]
        assert isinstance(reading, Fresh), reading
        total = reading.usage.between(start, now.timestamp())
        assert total == pytest.approx(memory * BUSY_REACH.total_seconds(), rel=1e-9)


TOO_MANY = faults.api_error(422, "execution", "query processing would load too many samples")
TIMED_OUT = faults.api_error(503, "timeout", "query timed out in expression evaluation")


def refuses(
    fault: faults.Fault, points: int, otherwise: faults.Fault = faults.honest
) -> faults.Plan:
    """Refuse what asks about more instants."""
    return lambda asked: fault if asked.points > points else otherwise


LIMITS: dict[str, tuple[list[str], faults.Plan]] = {
    "max-samples": (["--query.max-samples=12000"], lambda _asked: faults.honest),
    "max-samples, as others say it": ([], refuses(TOO_MANY, 200)),
    "timeout": ([], refuses(TIMED_OUT, 200)),
    "timeout of a proxy": ([], refuses(faults.status(504), 200)),
    "it hangs": ([], refuses(faults.hang, 200)),
    "it breaks": ([], refuses(faults.reset, 200)),
}


@pytest.mark.parametrize("limit", LIMITS)
async def test_what_is_too_much_at_once_is_read_in_shorter_pieces(make, serve_limited, limit):
    flags, plan = LIMITS[limit]
    with faulty_proxy(serve_limited(*flags)) as limited:
        limited.plan = plan
        kept = make(hangs="hangs" in limit, to=limited)
        kept.clock.now = instant(NOW - 24 * HOUR)
        # A connection that breaks does not say that it was too much: that is tried a minute later.
        assert await read_all(kept) <= (8 if limit == "it breaks" else 1)
        is_busy_truth(await kept.read([*BUSY], BUSY_REACH), kept.clock.now)
        refused = [one for one in limited.asked if one.refused]
        assert 0 < len(refused) < len(limited.asked) / 4, "what failed is not tried again and again"
        # And so it is after an outage that is longer than what can be read at once.
        kept.clock.now = instant(NOW - 10 * MINUTE)
        while kept.known.end < kept.clock.now:
            assert kept.clock.now < instant(NOW), kept.failures
            kept.clock.pass_(1)
            await kept.refresh()
        is_busy_truth(await kept.read([*BUSY], BUSY_REACH), kept.clock.now)
        limited.let_go.set()


async def test_days_of_which_nothing_was_told_are_read_again_when_they_are(make, serve_limited):
    with faulty_proxy(serve_limited()) as to:
        kept = make(to=to)
        kept.clock.now = instant(NOW - 10 * MINUTE)
        to.always(faults.empty)
        await read_all(kept)
        kept.clock.pass_(1)
        to.always(faults.honest)
        await read_all(kept)
        is_busy_truth(await kept.read([*BUSY], BUSY_REACH), kept.clock.now)


async def test_a_server_that_gives_up_on_everything_is_unknown_and_says_so(make, serve_limited):
    with faulty_proxy(serve_limited("--query.timeout=1ms")) as limited:
        kept = make(to=limited)
        kept.clock.now = instant(NOW)
        limited.plan = lambda asked: faults.honest if asked.points > 1000 else TIMED_OUT
        reading = (await kept.read(["user-1"], BUSY_REACH))["user-1"]["memory"]
        assert isinstance(reading, Unknown)
        assert reading.reason == "unavailable"
