"""The checkpoint: what a meter knew goes on in the next process, and nothing else does."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.errors import PrometheusUnreachable
from jupyterhub_usage_quotas.metering.checkpoint import (
    FILE,
    Checkpoint,
    CheckpointNotUsable,
    pause_after,
)
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.events import NoEvents
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.sources.server_metrics import ServerMetrics
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.usage import Fresh, Unknown
from tests.support.made_up import MadeUp, Session
from tests.support.paths import ROOT

START = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)
DAY, HOUR, MINUTE = 86400, 3600, 60
REACH = timedelta(days=30)
URL = "http://prometheus.test"
NOW = START.timestamp()

SESSIONS: Mapping[str, Sequence[Session]] = {
    "ada": [Session(NOW - 20 * DAY, NOW - 19 * DAY, {"memory": 2.0**30, "time": 1.0})],
    "grace": [Session(NOW - 5 * HOUR, NOW + DAY, {"time": 1.0, "cpu": 0.5})],
    "b\u00f6rk/\ud800 ,\"'": [
        Session(
            NOW - 9 * HOUR, NOW - HOUR, {"gpu": 1.0}, ServerAttributes("x", "X\n", "y", gpu=True)
        ),
        Session(NOW - 9 * DAY, NOW - HOUR, {"gpu": 2.0}, ServerAttributes(name="\U0001f600")),
    ],
}


class Noted(NoEvents):
    """What a meter says of its checkpoint."""

    def __init__(self) -> None:
        self.restored_from: list[datetime] = []
        self.refused: list[str] = []
        self.unsaved: list[str] = []
        self.followed_since: list[datetime] = []

    def restored(self, source: str, written: datetime) -> None:
        assert source
        self.restored_from.append(written)

    def not_restored(self, why: str) -> None:
        self.refused.append(why)

    def followed(self, written: datetime) -> None:
        self.followed_since.append(written)

    def not_saved(self, path: Path, why: str) -> None:
        assert path.name == FILE
        self.unsaved.append(why)


class Process:
    """A Hub from its start on: a meter, and what it says."""

    def __init__(
        self, folder: Path, source: MadeUp, now: datetime = START, *, writer: bool = True
    ) -> None:
        self.now, self.noted, self.source = now, Noted(), source
        self.meter = Meter(
            PrometheusClient(URL),
            [source],
            events=self.noted,
            clock=lambda: self.now,
            checkpoint=Checkpoint(folder, URL, writer=writer),
        )

    async def start(self) -> Process:
        """What `Meter.keep` begins with."""
        await self.meter.restore()
        await self.meter.refresh(REACH)
        return self

    async def read(self) -> Process:
        """The whole history; it is kept, then."""
        await self.start()
        while await self.meter.extend():
            pass
        await self.meter.save()
        return self

    def used(self) -> dict[str, dict[str, float]]:
        """What everybody used."""
        found = self.meter.peek(self.source.sessions, RESOURCES, REACH, self.now)
        first = (self.now - REACH).timestamp()
        return {
            user: {name: one.usage.between(first, 2 * NOW) for name, one in readings.items()}
            for user, readings in found.items()
            if all(isinstance(one, Fresh) for one in readings.values())
        }


RESOURCES = ["memory", "cpu", "gpu", "time"]


def truth(sessions: Mapping[str, Sequence[Session]], now: datetime) -> dict[str, dict[str, float]]:
    """What everybody used in the window before `now`, by its definition."""
    until = now.timestamp() // MINUTE * MINUTE
    first = now.timestamp() - REACH.total_seconds()
    return {
        user: {
            resource: pytest.approx(
                sum(
                    one.rates.get(resource, 0.0)
                    * max(min(one.end, until) - max(one.start, first), 0)
                    for one in of_user
                )
            )
            for resource in RESOURCES
        }
        for user, of_user in sessions.items()
    }


async def test_only_what_is_new_is_read_after_a_restart(tmp_path):
    first = await Process(tmp_path, MadeUp(SESSIONS)).read()
    assert first.used() == truth(SESSIONS, START)
    later = START + timedelta(minutes=7)
    second = await Process(tmp_path, MadeUp(SESSIONS), later).start()
    assert second.meter.complete
    assert second.used() == truth(SESSIONS, later)
    assert min(one.start for one in second.source.asked) > START - timedelta(hours=2)
    assert second.noted.restored_from == [START]
    assert not second.noted.refused


@pytest.mark.parametrize("away", [timedelta(hours=3), timedelta(days=5), timedelta(days=29)])
async def test_a_hub_that_was_away_for_long_catches_up_before_it_says_anything(tmp_path, away):
    await Process(tmp_path, MadeUp(SESSIONS)).read()
    shown = []

    class Watching(MadeUp):
        async def read(self, *arguments):
            shown.append(hub.meter.peek(["ada"], ["time"], REACH, hub.now)["ada"]["time"])
            return await super().read(*arguments)

    hub = Process(tmp_path, Watching(SESSIONS), START + away)
    await hub.start()
    assert all(isinstance(one, Unknown) for one in shown)
    assert len(shown) > 1
    assert hub.meter.complete
    assert hub.used() == truth(SESSIONS, hub.now)


async def test_one_that_is_older_than_the_window_is_not_needed(tmp_path):
    await Process(tmp_path, MadeUp(SESSIONS)).read()
    hub = await Process(tmp_path, MadeUp(SESSIONS), START + timedelta(days=31)).read()
    assert hub.used() == truth(SESSIONS, hub.now)


async def test_a_longer_window_reads_what_is_before(tmp_path):
    hub = Process(tmp_path, MadeUp(SESSIONS))
    await hub.meter.refresh(timedelta(days=2))
    while await hub.meter.extend():
        pass
    await hub.meter.save()
    again = await Process(tmp_path, MadeUp(SESSIONS)).start()
    assert not again.meter.complete
    await again.read()
    assert again.used() == truth(SESSIONS, START)


async def test_what_is_not_complete_goes_on_where_it_was(tmp_path):
    hub = await Process(tmp_path, MadeUp(SESSIONS)).start()
    await hub.meter.extend()
    await hub.meter.save()
    begun = hub.meter.snapshots[0].start
    again = await Process(tmp_path, MadeUp(SESSIONS)).start()
    assert again.meter.snapshots[0].start == begun
    await again.read()
    assert again.used() == truth(SESSIONS, START)


CHANGED: Mapping[str, Mapping[str, Sequence[Session]]] = {
    "somebody has used more": SESSIONS | {"new": [Session(NOW - DAY, NOW, {"time": 1.0})]},
    "somebody has used nothing": SESSIONS | {"grace": []},
    "somebody has used half": SESSIONS
    | {"grace": [Session(NOW - 5 * HOUR, NOW + DAY, {"time": 1.0, "cpu": 0.25})]},
}


@pytest.mark.parametrize("sessions", CHANGED.values(), ids=CHANGED)
async def test_it_is_not_trusted_where_prometheus_says_otherwise(tmp_path, sessions):
    await Process(tmp_path, MadeUp(SESSIONS)).read()
    hub = await Process(tmp_path, MadeUp(sessions), START + timedelta(minutes=3)).read()
    assert hub.noted.refused == ["the made-up source says otherwise now"]
    assert hub.used() == truth(sessions, hub.now)


@pytest.mark.parametrize("away", [timedelta(minutes=2), timedelta(days=40)])
@pytest.mark.parametrize("was_there", [True, False])
async def test_a_source_that_is_not_seen_is_said_to_be(tmp_path, was_there, away):
    """Whether it was seen before or not, and whatever is left of what was known."""
    await Process(tmp_path, MadeUp(SESSIONS, alive=was_there)).read()
    hub = await Process(tmp_path, MadeUp(SESSIONS, alive=False), START + away).read()
    reading = hub.meter.peek(["grace"], ["time"], REACH, hub.now)["grace"]["time"]
    if was_there and away < REACH:
        assert isinstance(reading, Fresh)
    else:
        assert isinstance(reading, Unknown)
        assert reading.reason == "not_scraped"


async def test_it_is_not_used_where_the_clock_was_put_back(tmp_path):
    await Process(tmp_path, MadeUp(SESSIONS)).read()
    hub = await Process(tmp_path, MadeUp(SESSIONS), START - timedelta(days=3)).read()
    assert hub.noted.refused == ["it knows of a time to come: was the clock put back?"]
    assert hub.used() == truth(SESSIONS, hub.now)


@pytest.mark.parametrize("ago", [1, 3, 20])
async def test_days_in_which_nobody_used_anything_hide_no_other_prometheus(tmp_path, ago):
    """What is compared is a time in which something was used."""
    then = NOW - ago * DAY
    before = {"ada": [Session(then - 2 * HOUR, then, {"time": 1.0})]}
    other = {"ada": [Session(then - 9 * HOUR, then - 5 * HOUR, {"time": 1.0})]}
    await Process(tmp_path, MadeUp(before)).read()
    for sessions, refused in ((other, 1), (before, 0)):
        hub = await Process(tmp_path, MadeUp(sessions), writer=False).read()
        assert len(hub.noted.refused) == refused
        assert hub.used() == truth(sessions, hub.now)


async def test_it_waits_for_a_prometheus_that_is_away(tmp_path):
    await Process(tmp_path, MadeUp(SESSIONS)).read()
    hub = Process(tmp_path, MadeUp(SESSIONS, failure=PrometheusUnreachable("nobody is there")))
    await hub.start()
    assert hub.used() == {}
    assert not hub.noted.refused
    hub.source.failure = None
    await hub.meter.refresh(REACH)
    assert hub.meter.complete
    assert hub.used() == truth(SESSIONS, START)


async def test_what_prometheus_has_lost_is_still_known(tmp_path):
    """As in a Hub that was not restarted: where the source was not seen, nothing says otherwise."""
    await Process(tmp_path, MadeUp(SESSIONS)).read()
    hub = await Process(tmp_path, MadeUp(SESSIONS, alive=False)).start()
    assert not hub.noted.refused
    assert hub.used() == truth(SESSIONS, START)


async def test_any_damage_is_told_and_ignored(tmp_path):
    await Process(tmp_path, MadeUp(SESSIONS)).read()
    file = tmp_path / FILE
    whole, chance = file.read_bytes(), random.Random(7)
    damaged = [whole[:at] for at in (0, 1, 50, len(whole) // 2, len(whole) - 1)]
    damaged += [whole + b"\0", b"\n" + whole, b"\0" * 5000, b"{}\n", b"[1]\n", b"{" * 20_000]
    first_line = whole.index(b"\n")
    for _ in range(60):
        at = chance.randrange(first_line, len(whole))
        damaged.append(whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :])
    for content in damaged:
        file.write_bytes(content)
        hub = Process(tmp_path, MadeUp(SESSIONS))
        await hub.meter.restore()
        assert hub.noted.refused, content[:80]
        assert not hub.noted.restored_from
    await hub.read()
    assert hub.used() == truth(SESSIONS, START)
    assert file.read_bytes() != damaged[-1]


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("kind", "something else", "no checkpoint"),
        ("format", 2, "another version"),
        ("version", "0.0.1", "another version"),
        ("written", "2026-03-04T12:34:00", "no checkpoint"),
        ("written", 5, "no checkpoint"),
        ("sha256", "0" * 64, "damaged"),
    ],
)
async def test_a_file_of_another_is_told_and_ignored(tmp_path, field, value, why):
    await Process(tmp_path, MadeUp(SESSIONS)).read()
    file = tmp_path / FILE
    line, rest = file.read_bytes().split(b"\n", 1)
    file.write_bytes(json.dumps(json.loads(line) | {field: value}).encode() + b"\n" + rest)
    hub = Process(tmp_path, MadeUp(SESSIONS))
    await hub.meter.restore()
    (said,) = hub.noted.refused
    assert why in said


def test_what_usage_depends_on_is_what_a_checkpoint_is_of(tmp_path):
    """Another Prometheus, or a source configured otherwise, has other usage."""
    sources = [
        KubeStateMetrics("hub"),
        KubeStateMetrics("other"),
        KubeStateMetrics("hub", max_gap=timedelta(minutes=1)),
        KubeStateMetrics("hub", pod_namespaces=("users-*",)),
        KubeStateMetrics("hub", others_count=("memory",)),
        ServerMetrics("hub"),
    ]
    assert len({one.identity for one in sources}) == len(sources)
    assert KubeStateMetrics("hub").identity == KubeStateMetrics("hub").identity
    Checkpoint(tmp_path, URL, writer=True).save([], START, complete=True)
    for address in (URL, "http://elsewhere.test"):
        with pytest.raises(CheckpointNotUsable, match="of another Prometheus"):
            Checkpoint(tmp_path, address, writer=False).load(sources)


async def test_another_prometheus_has_another(tmp_path):
    hub = await Process(tmp_path, MadeUp(SESSIONS)).read()
    with pytest.raises(CheckpointNotUsable, match="of another Prometheus"):
        Checkpoint(tmp_path, "http://elsewhere.test", writer=False).load([hub.source])


async def test_a_folder_that_cannot_be_written_is_told_and_harms_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    hub = await Process(tmp_path / "file", MadeUp(SESSIONS)).read()
    assert hub.noted.unsaved == ["File exists"]
    assert hub.used() == truth(SESSIONS, START)


async def test_only_its_owner_can_read_it_and_nothing_is_left_beside_it(tmp_path):
    await Process(tmp_path / "new" / "folder", MadeUp(SESSIONS)).read()
    (only,) = (tmp_path / "new" / "folder").iterdir()
    assert only.name == FILE
    assert only.stat().st_mode & 0o777 == 0o600


async def test_who_only_reads_writes_nothing(tmp_path):
    await Process(tmp_path, MadeUp(SESSIONS), writer=False).read()
    assert not list(tmp_path.iterdir())


async def test_it_is_written_when_something_is_new(tmp_path):
    hub = await Process(tmp_path, MadeUp(SESSIONS)).read()
    for _ in range(3):
        hub.now += timedelta(minutes=5)
        await hub.meter.refresh(REACH)
        await hub.meter.save()
        written = Checkpoint(tmp_path, URL, writer=False).load([hub.source]).written
        assert written == hub.now


@pytest.mark.parametrize(
    ("took", "pause"), [(0.0, 0.0), (0.05, 3.0), (1.0, 60.0), (5.0, 300.0), (100.0, 300.0)]
)
def test_a_write_takes_a_sixtieth_of_the_time_at_most(took, pause):
    """But for one that takes more than five seconds."""
    assert pause_after(took).total_seconds() == pause


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.lists(
            st.tuples(
                st.integers(1, 1000),
                st.integers(1, 1000),
                st.sampled_from(RESOURCES),
                st.builds(ServerAttributes, st.text(max_size=3), name=st.text(max_size=3)),
            ),
            max_size=5,
        ),
        max_size=5,
    )
)
async def test_whatever_was_known_is_known(tmp_path_factory, made):
    sessions = {
        user: [
            Session(NOW - MINUTE * (ago + long), NOW - MINUTE * ago, {resource: 1.0}, server)
            for ago, long, resource, server in of_user
        ]
        for user, of_user in made.items()
    }
    folder = tmp_path_factory.mktemp("checkpoint")
    hub = await Process(folder, MadeUp(sessions)).read()
    again = await Process(folder, MadeUp(sessions)).start()
    assert not again.noted.refused
    assert again.meter.snapshots[0].usage == hub.meter.snapshots[0].usage
    assert again.meter.snapshots[0].coverage == hub.meter.snapshots[0].coverage


PROGRAM = """
import asyncio, sys
from pathlib import Path
from jupyterhub_usage_quotas.metering.timelines import number_of
from jupyterhub_usage_quotas.quotas.usage import ANY_SERVER
from tests.unit.metering.test_checkpoint import *

for name in ("one", "two", "three"):
    number_of((name, ANY_SERVER))  # keys have other numbers here


async def main(what, folder):
    if what == "read":
        hub = await Process(Path(folder), MadeUp(SESSIONS), writer=False).start()
        print(json.dumps([hub.used(), hub.noted.refused]))
        return
    hub = await Process(Path(folder), MadeUp(SESSIONS)).read()
    print("written", flush=True)
    while True:
        hub.now += timedelta(minutes=5)
        await hub.meter.refresh(REACH)
        await hub.meter.save()


asyncio.run(main(*sys.argv[1:]))
"""


def another_process(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


async def test_keys_have_other_numbers_in_another_process(tmp_path):
    await Process(tmp_path, MadeUp(SESSIONS)).read()
    used, refused = json.loads(another_process("read", tmp_path).communicate()[0])
    assert refused == []
    assert used == truth(SESSIONS, START)


@pytest.mark.parametrize("writes", range(3))
async def test_a_hub_that_is_killed_leaves_a_whole_one(tmp_path, writes):
    """At any instant: while it writes, mostly, since it does nothing else."""
    hub = another_process("write", tmp_path)
    assert hub.stdout
    assert hub.stdout.readline() == "written\n"
    seen: set[float] = set()
    while len(seen) < 20 + writes:
        seen.add((tmp_path / FILE).stat().st_mtime_ns)
    hub.send_signal(signal.SIGKILL)
    hub.communicate()
    later = START + timedelta(days=1)
    again = await Process(tmp_path, MadeUp(SESSIONS), later).start()
    assert not again.noted.refused
    assert again.noted.restored_from
    assert again.used() == truth(SESSIONS, later)


# --- following what the Hub writes ----------------------------------------------------------------


ONE = timedelta(minutes=1)


class Beside(Process):
    """A process beside the Hub, which shares its disk: one turn of what `Meter.keep` does."""

    def __init__(self, folder: Path, source: MadeUp, now: datetime = START) -> None:
        super().__init__(folder, source, now, writer=False)

    async def turn(self) -> bool:
        followed = await self.meter.follow(REACH)
        await self.meter.refresh(REACH, gauges_only=followed)
        while not followed and await self.meter.extend():
            pass
        return followed


async def test_who_shares_the_hubs_disk_asks_nobody(tmp_path):
    hub = await Process(tmp_path, MadeUp(SESSIONS)).read()
    beside = Beside(tmp_path, MadeUp(SESSIONS))
    for _ in range(17):
        assert await beside.turn()
        assert beside.meter.complete
        written = Checkpoint(tmp_path, URL, writer=False).load([hub.source]).written
        assert beside.used() == truth(SESSIONS, written)
        hub.now = beside.now = beside.now + ONE
        await hub.meter.refresh(REACH)
        await hub.meter.save()
    assert not beside.source.asked
    assert beside.noted.followed_since == [START]


async def test_when_the_hub_writes_no_more_it_goes_on_by_itself(tmp_path):
    await Process(tmp_path, MadeUp(SESSIONS)).read()
    beside = Beside(tmp_path, MadeUp(SESSIONS))
    followed = []
    for _ in range(10):
        followed.append(await beside.turn())
        beside.now += ONE
    assert followed == [True] * 8 + [False] * 2
    assert beside.used() == truth(SESSIONS, beside.now - ONE)
    # What the file had is gone on with: the history is not read again.
    assert min(one.start for one in beside.source.asked) > START - timedelta(hours=2)
    hub = await Process(tmp_path, MadeUp(SESSIONS), beside.now).start()
    await hub.meter.save()
    assert await beside.turn()


@pytest.mark.parametrize("content", [b"", b"{}\n", b"not a checkpoint"])
async def test_what_cannot_be_followed_is_told_once(tmp_path, content):
    beside = Beside(tmp_path, MadeUp(SESSIONS))
    assert not await beside.turn()
    (tmp_path / FILE).write_bytes(content)
    assert not await beside.turn()
    assert not await beside.turn()
    assert beside.used() == truth(SESSIONS, START)
    assert len(beside.noted.refused) == 1


async def test_what_was_written_for_another_source_is_not_followed(tmp_path):
    await Process(tmp_path, MadeUp(SESSIONS)).read()
    beside = Beside(tmp_path, MadeUp({}, name="another"))
    assert not await beside.turn()
    assert beside.source.asked


async def test_a_file_of_a_time_to_come_is_not_followed(tmp_path):
    await Process(tmp_path, MadeUp(SESSIONS), START + timedelta(hours=1)).read()
    beside = Beside(tmp_path, MadeUp(SESSIONS))
    assert not await beside.turn()
    assert beside.used() == truth(SESSIONS, START)


async def test_the_hub_itself_follows_nobody(tmp_path):
    await Process(tmp_path, MadeUp(SESSIONS)).read()
    assert not await Process(tmp_path, MadeUp(SESSIONS)).meter.follow(REACH)
