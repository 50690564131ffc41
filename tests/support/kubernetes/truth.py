"""When pods really ran: noted by watching the API server, not by anything that is tested."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from .cluster import Cluster

MINUTE = 60
SCRAPE_INTERVAL = 2
SLACK = 5.0
"""Seconds that a sample at a whole minute may be old, and that what is noted here may be late: on
a busy machine, programs and threads wait for their turn.
"""


@dataclass
class Record:
    """When pods ran, by namespace and name: spans in Unix seconds; the last may not have ended."""

    spans: dict[tuple[str, str], list[list[float]]] = field(default_factory=dict)
    scrapes: list[tuple[float, bool]] = field(default_factory=list)
    """When Prometheus scraped, and whether it got an answer in time."""

    def note(self, pod: tuple[str, str], at: float, *, runs: bool) -> None:
        """Note whether a pod runs."""
        spans = self.spans.setdefault(pod, [])
        open_now = bool(spans) and len(spans[-1]) == 1
        if runs and not open_now:
            spans.append([at])
        elif open_now and not runs:
            spans[-1].append(at)

    def minutes(self, pod: tuple[str, str]) -> tuple[int, int]:
        """At how many whole minutes a pod ran: at least, and at most."""
        spans = [(span[0], span[1] if len(span) > 1 else time.time()) for span in self.known(pod)]
        first = min((span[0] for span in spans), default=0.0)
        last = max((span[1] for span in spans), default=0.0)
        marks = range(int(first // MINUTE) * MINUTE, int(last + MINUTE + SLACK), MINUTE)
        surely = sum(
            any(start <= mark - SLACK and mark + SLACK <= end for start, end in spans)
            and self.was_scraped(mark)
            for mark in marks
        )
        perhaps = sum(
            any(start - SLACK <= mark and mark - SLACK <= end for start, end in spans)
            for mark in marks
        )
        return surely, perhaps

    def was_scraped(self, mark: float) -> bool:
        """Whether Prometheus knew at a moment what ran: after a scrape without an answer, nothing
        runs for it until the next.
        """
        at, answered = max((one for one in self.scrapes if one[0] <= mark), default=(0.0, False))
        return answered and at >= mark - SLACK

    def known(self, pod: tuple[str, str]) -> list[list[float]]:
        """When a pod ran; nothing for one that was never seen."""
        return self.spans.get(pod, [])


@contextmanager
def recording(cluster: Cluster) -> Iterator[Record]:
    """Watch all pods of a cluster."""
    record, over = Record(), threading.Event()
    began = threading.Event()

    def watch() -> None:
        where = f"{cluster.url}/api/v1/pods"
        with httpx.Client(trust_env=False, timeout=None) as http:
            while not over.is_set():
                parameters = {"watch": "true", "timeoutSeconds": "600", "allowWatchBookmarks": "1"}
                with http.stream("GET", where, params=parameters) as stream:
                    began.set()
                    for line in stream.iter_lines():
                        if over.is_set():
                            break
                        _note(record, json.loads(line))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        began.wait(20)
        yield record
    finally:
        over.set()  # the next bookmark lets the thread see it
        thread.join()


def _note(record: Record, event: dict) -> None:
    if event["type"] == "BOOKMARK":
        return
    pod = event["object"]
    key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
    runs = event["type"] != "DELETED" and pod["status"]["phase"] == "Running"
    record.note(key, time.time(), runs=runs)
