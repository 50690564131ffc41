"""A stand-in for a Prometheus that scrapes a very large hub: it answers the queries that the meter
(and the naive way) asks, in Prometheus' own format, from a made-up world instead of a database.

It runs in a process of its own: `python -m benchmarks.stand_in PORT USERS DAYS NOW`.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler

from benchmarks.world import MINUTE, NAMESPACE, Session, World
from jupyterhub_usage_quotas import conventions as names

Result = dict[str, Any]


class Counts:
    """What was asked so far, and what answering it took."""

    queries = 0
    sent = 0
    busy = 0.0


class Query(RequestHandler):
    """`query` and `query_range`."""

    def initialize(self, world: World) -> None:
        self.world = world

    def post(self, kind: str) -> None:
        begun = time.process_time()
        query = self.get_body_argument("query")
        if kind == "query":
            at = float(self.get_body_argument("time"))
            result = list(instant_answer(self.world, query, at))
        else:
            start = float(self.get_body_argument("start"))
            end = float(self.get_body_argument("end"))
            result = list(range_answer(self.world, query, start, end))
        kind = "vector" if kind == "query" and "[30d]" not in query[-6:] else "matrix"
        data = {"resultType": kind, "result": result}
        body = json.dumps({"status": "success", "data": data}, separators=(",", ":"))
        Counts.queries += 1
        Counts.sent += len(body)
        Counts.busy += time.process_time() - begun
        self.set_header("Content-Type", "application/json")
        self.finish(body)


class Count(RequestHandler):
    """What was asked since this was last read."""

    def get(self) -> None:
        self.finish({"queries": Counts.queries, "bytes": Counts.sent, "busy": Counts.busy})
        Counts.queries, Counts.sent, Counts.busy = 0, 0, 0.0


def instant_answer(world: World, query: str, at: float) -> Iterator[Result]:
    if "exported_pod!" in query or " > on " in query:
        return
    if raw := re.fullmatch(r'.*pod="jupyter-user-(\d+)".*\[30d\]', query):
        yield from _raw(world.of(int(raw.group(1))))
        return
    over = re.search(r"\[(\d+)ms\]", query)
    span = float(over.group(1)) / 1000 if over else 0.0
    for session in _asked_about(world, query, at - span, at):
        if "present_over_time" in query:
            labels = {
                names.KSM_USERNAME_LABEL: session.username,
                "pod": session.pod,
                "uid": session.uid,
            }
            yield {"metric": labels, "value": [at, "1"]}
        elif "max_over_time" in query:
            amounts = {"memory": session.memory, "cpu": session.cpu}
            for resource, amount in amounts.items():
                labels = {"uid": session.uid, "resource": resource}
                yield {"metric": labels, "value": [at, str(amount)]}


def range_answer(world: World, query: str, start: float, end: float) -> Iterator[Result]:
    if "timestamp(" in query or "time()" in query:
        instants = range(int(start), int(end) + 1, MINUTE)
        values = [[instant, str(instant)] for instant in instants]
        for part in re.findall(r'"part", "(honored [^"]+)"', query):
            yield {"metric": {"part": part}, "values": values}
    elif "exported_pod!" not in query:
        for session in _asked_about(world, query, start, end):
            first = max(session.start, -(-int(start) // MINUTE) * MINUTE)
            values = [[at, "1"] for at in range(first, min(session.end, int(end)) + 1, MINUTE)]
            if values:
                yield {"metric": {"uid": session.uid}, "values": values}


def _asked_about(world: World, query: str, start: float, end: float) -> Iterator[Session]:
    one = re.search(rf'{names.KSM_USERNAME_LABEL}="user-(\d+)"', query)
    if one is None:
        one = re.search(r'pod=~"jupyter-user-(\d+)"', query)
    sessions = world.of(int(one.group(1))) if one else world.between(start, end)
    return (one for one in sessions if one.end >= start and one.start <= end)


def _raw(sessions: list[Session]) -> Iterator[Result]:
    """A month of raw samples, as kube-state-metrics labels them."""
    for session in sessions:
        labels = {
            "__name__": names.KSM_REQUESTS,
            "container": "notebook",
            "instance": "10.0.0.1:8080",
            "job": "kube-state-metrics",
            "namespace": NAMESPACE,
            "node": "node-1",
            "pod": session.pod,
            "resource": "memory",
            "uid": session.uid,
            "unit": "byte",
        }
        at = range(session.start, session.end + 1, MINUTE)
        yield {"metric": labels, "values": [[one, str(int(session.memory))] for one in at]}


def main() -> None:
    port, users, days, now = (int(argument) for argument in sys.argv[1:5])
    world = World(users, days, now)
    routes = [(r"/api/v1/(query|query_range)", Query, {"world": world}), (r"/counts", Count)]
    HTTPServer(Application(routes)).listen(port, "127.0.0.1")
    IOLoop.current().start()


if __name__ == "__main__":
    main()
