"""The stand-in for a store of very many users: answers are those of many, and its limits hold."""

from __future__ import annotations

import json
import math

import httpx
import pytest
import respx

from benchmarks.multiplied import KINDS, Limits, Multiplied

URL = "http://few.test"
FEW, TIMES = 10, 3
UID = "00000004-0000-4000-8000-00000000000a"
OF_A_USER = {"annotation_hub_jupyter_org_username": "user-4", "pod": "jupyter-user-4", "uid": UID}


def told(*results):
    data = {"resultType": "vector", "result": list(results)}
    data["stats"] = {"samples": {"totalQueryableSamples": 100, "peakSamples": 10}}
    return httpx.Response(200, json={"status": "success", "data": data})


@pytest.fixture
def few():
    """The Prometheus of few users: each of its series is there twice, and is one user's."""
    with respx.mock(base_url=f"{URL}/api/v1", assert_all_called=False) as router:
        found = {"status": "success", "data": [{"pod": "jupyter-user-4"}] * 2}
        router.post("/series").respond(json=found)
        router.post("/query").mock(return_value=told({"metric": OF_A_USER, "value": [0, "1"]}))
        yield router


def asked(store, query):
    status, body = store.answer("query", {"query": query, "time": "1000000"})
    return status, json.loads(body)


def metrics(answer):
    return [one["metric"] for one in answer["data"]["result"]]


def test_a_series_of_a_user_is_there_for_each_user_that_it_stands_for(few):
    status, answer = asked(Multiplied(URL, FEW, TIMES, KINDS["none"]), 'pods{pod!=""}')
    assert status == 200
    found = metrics(answer)
    assert [one["annotation_hub_jupyter_org_username"] for one in found] == [
        "user-4",
        "user-14",
        "user-24",
    ]
    assert [one["pod"] for one in found] == ["jupyter-user-4", "jupyter-user-14", "jupyter-user-24"]
    assert len({one["uid"] for one in found}) == TIMES


def test_a_pod_keeps_its_uid_from_query_to_query(few):
    store = Multiplied(URL, FEW, TIMES, KINDS["none"])
    _, by_name = asked(store, 'pods{pod!=""}')
    few.post("/query").mock(return_value=told({"metric": {"uid": UID}, "value": [0, "1"]}))
    _, by_uid = asked(store, 'phases{pod!=""}')
    assert [one["uid"] for one in metrics(by_uid)] == [one["uid"] for one in metrics(by_name)]


def test_what_is_asked_about_one_user_is_answered_about_that_one(few):
    store = Multiplied(URL, FEW, TIMES, KINDS["none"])
    _, answer = asked(store, 'pods{name=~"user-14|user-15"}')
    (one,) = metrics(answer)
    assert one["pod"] == "jupyter-user-14"
    (sent,) = [call.request for call in few.calls if call.request.url.path.endswith("/query")]
    query = httpx.QueryParams(sent.content.decode())["query"]
    assert query == 'pods{name=~"user-4|user-5"}'


def test_what_belongs_to_nobody_is_there_once(few):
    few.post("/query").mock(return_value=told({"metric": {"part": "hub"}, "value": [0, "1"]}))
    _, answer = asked(Multiplied(URL, FEW, TIMES, KINDS["none"]), 'seen{pod=~"hub-.*"}')
    assert metrics(answer) == [{"part": "hub"}]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits("text", text=5), "text"),
        (Limits("time", seconds=299), "seconds"),
        (Limits("series", series=5), "series"),
        (Limits("chunks", chunks=11), "chunks"),
        (Limits("samples", samples=299), "samples"),
    ],
)
def test_what_is_more_than_a_limit_is_refused(few, limits, reason):
    store = Multiplied(URL, FEW, TIMES, limits)
    status, answer = asked(store, 'pods{pod!=""}')
    assert status == 422
    assert reason in answer["error"]
    taken = store.counts.taken()
    assert (taken["refused"], taken["reasons"]) == (1, {reason: 1})


def test_what_is_just_within_every_limit_is_answered(few):
    just = Limits("just", text=13, seconds=300, series=6, chunks=12, samples=300)
    store = Multiplied(URL, FEW, TIMES, just)
    assert asked(store, 'pods{pod!=""}')[0] == 200
    taken = store.counts.taken()
    assert (taken["queries"], taken["refused"]) == (1, 0)
    assert taken["most"] == {
        "text": 13,
        "seconds": 300,
        "series": 6,
        "chunks": 12,
        "samples": 300,
    }
    assert store.counts.taken()["queries"] == 0


def test_without_limits_nothing_is_refused():
    assert all(
        getattr(KINDS["none"], name) == math.inf
        for name in ("text", "seconds", "series", "chunks", "samples")
    )
