"""Series that are mostly the same value are read as any others are."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.errors import BadAnswer
from jupyterhub_usage_quotas.metering.client.response import PIECE, read_answer
from jupyterhub_usage_quotas.metering.client.steady import SteadyParser

START, STEP, NUMBER = 1_764_000_000, 60, 200
END = START + (NUMBER - 1) * STEP
ASKED = {"query": "x", "start": f"{START}.000", "end": f"{END}.000", "step": "60.000"}
ENOUGH = PIECE
"""A label so long that no answer is small."""

Sample = tuple[int | float, str]


def text_of(series: Sequence[tuple[Mapping[str, str], Sequence[Sample]]]) -> bytes:
    result = [
        {"metric": labels, "values": [[at, value] for at, value in samples]}
        for labels, samples in series
    ]
    data = {"resultType": "matrix", "result": result}
    return json.dumps({"status": "success", "data": data}, separators=(",", ":")).encode()


def parsed(content: bytes) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
    found = read_answer(content, where="here", success=True, asked=ASKED)
    return [(dict(one.labels), list(one.samples)) for one in found]


values = st.sampled_from(["1", "0", "1", "4294967296", "0.5", "1e+21", "+1"])
stretches = st.lists(st.tuples(st.integers(0, NUMBER), values), min_size=1, max_size=8)
labels = st.dictionaries(
    st.text(max_size=5),
    st.text(max_size=9) | st.sampled_from([',"values":[[1', '{"metric":', "]]}"]),
)


@given(st.lists(st.tuples(labels, stretches, st.integers(0, 3)), max_size=4))
def test_every_answer_is_read_as_it_is_written(made):
    series = []
    for number, (of_series, edges, holes) in enumerate(made):
        places = dict.fromkeys(range(NUMBER))
        at: dict[int, str] = {}
        for begin, value in sorted(edges):
            at |= dict.fromkeys(list(places)[begin:], value)
        for hole in random.Random(number).sample(range(NUMBER), holes):
            at.pop(hole, None)
        samples = [(START + place * STEP, value) for place, value in sorted(at.items())]
        if samples:
            series.append(({**of_series, "number": str(number), "long": "x" * ENOUGH}, samples))
    expected = [
        (dict(one), [(float(at), float(value)) for at, value in samples]) for one, samples in series
    ]
    assert sorted(parsed(text_of(series)), key=str) == sorted(expected, key=str)


STEADY = [(START + place * STEP, "1") for place in range(NUMBER)]
LONG = {"long": "x" * ENOUGH}


def test_what_is_steady_is_not_parsed_in_the_general_way():
    content = text_of([(LONG, [*STEADY[:7], *STEADY[50:]])])
    begin, end = content.index(b'{"metric"'), content.rindex(b"]}}")
    found = SteadyParser.of(ASKED)(content, begin, end)
    assert found is not None
    assert len(found.values) == 7 + NUMBER - 50


@pytest.mark.parametrize(
    "samples",
    [
        [*STEADY, (END + STEP, "1")],
        [(START - STEP, "1"), *STEADY],
        [*STEADY[:50], (END + 10 * STEP, "1")],
    ],
    ids=["one too many", "one too early", "one much later"],
)
def test_samples_of_another_time_are_refused(samples):
    with pytest.raises(BadAnswer, match="another time"):
        parsed(text_of([(LONG, samples)]))


@pytest.mark.parametrize("value", ["NaN", "+Inf", "", "one"])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(BadAnswer):
        parsed(text_of([(LONG, [*STEADY[:9], (STEADY[9][0], value)])]))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b'"1"],[', b'"1"] ['),
        (b'"1"],[', b'"1"],,['),
        (b'"1"]]', b'"1"],]'),
        (b'"1"]]', b'"1"'),
        (b'"values":[[', b'"values":['),
        (b'{"metric":{', b'{"metric":{"a":1,'),
    ],
)
def test_what_is_no_json_is_refused(right, wrong):
    content = text_of([(LONG, STEADY), ({"b": "c"}, STEADY)])
    assert right in content
    with pytest.raises(BadAnswer):
        parsed(content.replace(right, wrong, 1))
    first = content.rindex(right)
    with pytest.raises(BadAnswer):
        parsed(content[:first] + wrong + content[first + len(right) :])


def test_samples_between_steps_are_read_all_the_same():
    samples = [(START + 0.5, "1"), (START + 30, "1"), (START + 60, "1")]
    assert parsed(text_of([(LONG, samples)])) == [
        (LONG, [(START + 0.5, 1.0), (START + 30.0, 1.0), (START + 60.0, 1.0)])
    ]


AT_ONCE = {"query": "x", "time": f"{END}.000"}


def vector(*results: tuple[Mapping[str, str], Sequence[object]]) -> bytes:
    result = [{"metric": labels, "value": value} for labels, value in results]
    data = {"resultType": "vector", "result": result}
    return json.dumps({"status": "success", "data": data}, separators=(",", ":")).encode()


@given(st.lists(st.tuples(labels, values, st.sampled_from([END, END + 0.001])), max_size=9))
def test_answers_about_an_instant_are_read_as_they_are_written(made):
    written = [
        ({**of_series, "number": str(number), "long": "x" * ENOUGH}, [at, value])
        for number, (of_series, value, at) in enumerate(made)
    ]
    found = read_answer(vector(*written), where="here", success=True, asked=AT_ONCE)
    expected = [(one, [(float(at), float(value))]) for one, (at, value) in written]
    assert sorted(((one.labels, list(one.samples)) for one in found), key=str) == sorted(
        expected, key=str
    )


@pytest.mark.parametrize("sample", [[END, "NaN"], [END, 1], [END], [END + 9, "1"], [END, "1", "1"]])
def test_what_is_no_sample_of_that_instant_is_refused(sample):
    content = vector((LONG, [END, "1"]), ({"a": "b"}, sample))
    with pytest.raises(BadAnswer):
        read_answer(content, where="here", success=True, asked=AT_ONCE)
