"""Packed runs against the plainest oracle: a table with one number for every minute."""

from __future__ import annotations

import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.metering.timelines import (
    NOTHING,
    NOTHING_KEPT,
    Kept,
    Run,
    Timeline,
    brief_runs,
    buckets,
    joined,
    keep,
    parts_of,
    runs_of,
    timelines,
    within,
)
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes

MINUTES = 60
"""So long is the time in which everything happens."""

RATES = [0.25, 1.0, 3.0]
SERVERS = [ServerAttributes(), ServerAttributes("gpu", "With a GPU", "work", gpu=True)]
KEYS = [("memory", SERVERS[0]), ("memory", SERVERS[1]), ("time", SERVERS[0])]

Table = dict[int, float]
"""The rate in the minute `(n, n + 1]`, by n; minutes without usage are left out."""


def seconds(minute: int) -> float:
    return minute * 60.0


def table_of(timeline: Timeline) -> Table:
    table: Table = {}
    until = float("-inf")
    for start, end, rate in timeline:
        assert until <= start < end
        assert rate > 0
        assert start % 60 == end % 60 == 0
        until = end
        for minute in range(int(start // 60), int(end // 60)):
            table[minute] = rate
    return table


def tables_of(kept: Kept) -> dict[object, Table]:
    parts = [*parts_of(kept)]
    assert all(timeline for _, timeline in parts), "what is empty is left out"
    assert len({key for key, _ in parts}) == len(parts)
    return {key: table_of(timeline) for key, timeline in parts}


def runs_in(kept: Kept) -> dict[object, list[Run]]:
    return {key: [*timeline] for key, timeline in parts_of(kept)}


def cut(tables: dict[object, Table], start: int, end: int) -> dict[object, Table]:
    parts = {
        key: {minute: rate for minute, rate in table.items() if start <= minute < end}
        for key, table in tables.items()
    }
    return {key: table for key, table in parts.items() if table}


minutes = st.integers(0, MINUTES)
spans = st.tuples(minutes, minutes).map(sorted).map(tuple)
sessions = st.tuples(st.sampled_from(KEYS), spans, st.sampled_from(RATES))
"""What happened: a server of these attributes ran for a while."""


def oracle(happened) -> dict[object, Table]:
    tables: defaultdict[object, Table] = defaultdict(dict)
    for key, (start, end), rate in happened:
        for minute in range(start, end):
            tables[key][minute] = tables[key].get(minute, 0.0) + rate
    return dict(tables)


def kept_of(happened, start: int, end: int) -> Kept:
    """What would be kept of it for a span of time, as a source makes it."""
    pieces: dict = {"alice": {}}
    for key, (begin, until), rate in happened:
        pieces["alice"].setdefault(key, []).append((seconds(begin), seconds(until), rate))
    return timelines(pieces, seconds(start), seconds(end)).get("alice", NOTHING_KEPT)


@given(st.lists(sessions, max_size=8), spans)
def test_overlapping_runs_are_summed_and_cut_to_the_span(happened, span):
    assert tables_of(kept_of(happened, *span)) == cut(oracle(happened), *span)


@given(st.lists(sessions, max_size=8), st.lists(minutes, max_size=6), st.data())
def test_put_together_from_pieces_it_is_the_same_as_at_once(happened, edges, data):
    """And so it is when ends were read again, and beginnings were forgotten."""
    edges = sorted({0, MINUTES, *edges})
    kept, begin = NOTHING_KEPT, 0
    for start, end in pairwise(edges):
        # An overlap that is read again replaces what was known of it.
        again = data.draw(st.integers(begin, start))
        kept = joined(within(kept, seconds(begin), seconds(again)), kept_of(happened, again, end))
        assert tables_of(kept) == cut(oracle(happened), begin, end)
        begin = data.draw(st.integers(begin, end))
        kept = within(kept, seconds(begin), seconds(end))
        assert tables_of(kept) == cut(oracle(happened), begin, end)
    at_once = kept_of(happened, begin, MINUTES)
    assert runs_in(kept) == runs_in(at_once), "and it is packed in the same way"


@given(st.lists(sessions, max_size=8), st.lists(minutes, max_size=6))
def test_put_together_from_the_newest_to_the_oldest_it_is_the_same(happened, edges):
    kept = NOTHING_KEPT
    for start, end in reversed([*pairwise(sorted({0, MINUTES, *edges}))]):
        kept = joined(kept_of(happened, start, end), kept)
    assert runs_in(kept) == runs_in(kept_of(happened, 0, MINUTES))


operations = st.one_of(
    st.tuples(st.just("within"), spans),
    st.tuples(st.just("then"), st.lists(st.tuples(spans, st.sampled_from(RATES)), max_size=3)),
)


@given(st.lists(operations, max_size=8))
def test_any_sequence_of_operations_is_that_on_the_table(steps):
    timeline, table, end = NOTHING, {}, 0
    for what, argument in steps:
        before, copy = timeline, [*timeline]
        if what == "within":
            start, stop = argument
            timeline = timeline.within(seconds(start), seconds(stop))
            table = {minute: rate for minute, rate in table.items() if start <= minute < stop}
        else:
            runs: list[Run] = []
            for (start, stop), rate in argument:
                # All of it comes after what there is.
                runs.append((seconds(end + start), seconds(end + stop), rate))
                table |= dict.fromkeys(range(end + start, end + stop), rate)
                end += stop
            timeline = timeline.then(Timeline(runs))
        assert table_of(timeline) == table
        assert [*before] == copy, "what there was is not changed"
        assert bool(timeline) == bool(table)
        assert timeline.end == (seconds(max(table) + 1) if table else float("-inf"))


def test_neighbours_of_one_rate_are_one_run_however_they_came_together():
    one = Timeline([(0, 60, 2.0), (60, 120, 2.0)])
    assert [*one] == [(0, 120, 2.0)]
    assert [*one.then(Timeline([(120, 180, 2.0), (240, 300, 2.0)]))] == [
        (0, 180, 2.0),
        (240, 300, 2.0),
    ]
    assert [*one.then(Timeline([(120, 180, 1.0)]))] == [(0, 120, 2.0), (120, 180, 1.0)]


def test_what_is_empty_runs_backwards_or_uses_nothing_is_left_out():
    assert [*Timeline([(60, 60, 1.0), (120, 60, 1.0), (0, 60, 0.0), (0, 60, -1.0)])] == []
    assert NOTHING.end == float("-inf")
    assert NOTHING.within(0, 60) is NOTHING


def test_a_timeline_shows_what_is_in_it_and_is_no_key():
    assert repr(Timeline([(0.0, 60.0, 1.0)])) == "Timeline([(0.0, 60.0, 1.0)])"
    assert Timeline([(0, 60, 1)]) != [(0, 60, 1)]
    with pytest.raises(TypeError, match="unhashable"):
        hash(NOTHING)


@given(st.lists(sessions, max_size=8), st.sampled_from(["memory", "time", "cpu"]))
def test_the_rules_get_every_amount_with_its_server(happened, resource):
    found: defaultdict[tuple[ServerAttributes, int], float] = defaultdict(float)
    for bucket in buckets(kept_of(happened, 0, MINUTES), resource):
        for minute in range(int(bucket.start // 60), int(bucket.end // 60)):
            found[bucket.server, minute] += bucket.amount * 60 / (bucket.end - bucket.start)
    expected = {
        (server, minute): pytest.approx(rate * 60)
        for (of, server), table in oracle(happened).items()
        if of == resource
        for minute, rate in table.items()
    }
    assert found == expected


def test_several_threads_that_meet_new_servers_at_once_do_not_take_one_for_another():
    """Parts are made in threads: of a refresh, and of launches before the history is read."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def pack(thread: int) -> list[tuple[object, Kept]]:
        keys = [
            (f"resource {thread}", ServerAttributes(name=f"{thread}-{number}"))
            for number in range(2000)
        ]
        return [(key, keep([(key, Timeline([(0.0, 60.0, 1.0)]))])) for key in keys]

    try:
        with ThreadPoolExecutor(8) as threads:
            packed = [pair for pairs in threads.map(pack, range(8)) for pair in pairs]
    finally:
        sys.setswitchinterval(before)
    assert all([key for key, _ in parts_of(kept)] == [own] for own, kept in packed)


# --- runs of samples ------------------------------------------------------------------------------


@given(
    st.dictionaries(st.integers(1, MINUTES), st.sampled_from([0.0, *RATES])),
    st.integers(0, 5),
)
def test_samples_stand_for_the_minute_before_them_and_short_gaps_are_bridged(samples, longest):
    """A gap is bridged where it has at most so many minutes, and the rate is the same after it."""
    table: Table = {}
    ordered = sorted(samples.items())
    for minute, rate in ordered:
        table[minute - 1] = rate
    for (before, rate), (after, same) in pairwise(ordered):
        if rate == same and after - before - 1 <= longest:
            table |= dict.fromkeys(range(before, after), rate)
    runs = runs_of(
        [(seconds(minute), rate) for minute, rate in ordered],
        60.0,
        lambda last, following: following - last - 60 <= longest * 60,
    )
    assert table_of(Timeline(runs)) == {minute: rate for minute, rate in table.items() if rate}


def test_a_bridge_is_asked_about_the_instants_on_both_sides():
    asked = []

    def bridge(last: float, following: float) -> bool:
        asked.append((last, following))
        return last == 120

    samples = [(60.0, 1.0), (120.0, 1.0), (600.0, 1.0), (900.0, 1.0)]
    assert runs_of(samples, 60.0, bridge) == [(0, 600, 1), (840, 900, 1)]
    assert asked == [(120, 600), (600, 900)]


@given(st.lists(st.floats(0.5, 200), min_size=1, max_size=20), st.sampled_from(RATES))
def test_samples_closer_than_a_step_stand_for_no_more_than_their_distance(distances, rate):
    instants = [1000.0]
    for distance in distances:
        instants.append(instants[-1] + distance)
    runs = runs_of([(instant, rate) for instant in instants], 60.0)
    covered = sum(end - start for start, end, _ in runs)
    assert covered == pytest.approx(60 + sum(min(distance, 60) for distance in distances))


def test_samples_of_other_rates_closer_than_a_step_do_not_overlap():
    samples = [(60.0, 1.0), (90.0, 2.0), (100.0, 0.0), (130.0, 2.0)]
    assert runs_of(samples, 60.0) == [(0, 60, 1), (60, 90, 2), (100, 130, 2)]


@given(
    st.sets(st.integers(0, MINUTES), max_size=20),
    st.dictionaries(st.integers(1, MINUTES), st.sampled_from(RATES), max_size=20),
    st.integers(0, 4),
)
def test_brief_minutes_count_where_neither_end_was_seen(seen, brief, longest):
    """By the minute: those seen, those between two of them where so few are missing, and those
    that were brief, if neither end was seen, or bridged.
    """
    samples = [(float(minute), 1.0) for minute in sorted(seen)]
    runs = runs_of(samples, 1.0, lambda last, following: following - 1 - last <= longest)
    bridged = set(seen)
    for before, after in pairwise(sorted(seen)):
        if after - before - 1 <= longest:
            bridged |= set(range(before, after))
    expected = [
        (minute - 1.0, float(minute), rate)
        for minute, rate in sorted(brief.items())
        if minute not in bridged and minute - 1 not in bridged
    ]
    assert brief_runs(runs, brief.items(), 1.0) == expected
