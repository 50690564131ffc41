"""What the demo's users did before it started: thirty days of servers, the same every day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .. import conventions
from .history import STEP, Span

DAYS = 30
GIB = 1024**3
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile of the demo's Hub: its slug, its display name, and what it requests."""

    slug: str
    name: str
    requests: Mapping[str, float]


SMALL = Profile("small", "Small", {"memory": 4.0 * GIB, "cpu": 1.0, "time": 1.0})
GPU = Profile("gpu", "GPU", {"memory": 16.0 * GIB, "cpu": 4.0, "gpu": 1.0, "time": 1.0})
DAILY = (
    ("alice", SMALL, 4.0, 2.0),
    ("bob", SMALL, 8.0, 2.0),
    ("carol", SMALL, 8.0, 2.0),
    ("carol", GPU, 1.5, 1.0),
)
"""Who had which server every day; how many hours before the present time of day from and to."""


def usage_of_a_month(now: int) -> Iterator[Span]:
    """What the Hub would have exported in the thirty days before `now` (Unix seconds)."""
    begin = now - DAYS * 24 * HOUR
    yield Span(conventions.EXPORTER_INFO, {"namespace": ""}, begin, now)
    for user, profile, since, until in DAILY:
        for day in range(DAYS):
            today = now - day * 24 * HOUR
            start, end = today - int(since * HOUR), today - int(until * HOUR)
            if start > begin:
                yield from _server(user, start, end, profile)


def _server(user: str, start: int, end: int, profile: Profile) -> Iterator[Span]:
    gpu = "true" if "gpu" in profile.requests else "false"
    for resource, amount in profile.requests.items():
        values = ("", user, "", profile.slug, profile.name, gpu, resource)
        labels = dict(zip(conventions.SERVER_LABELS, values, strict=True))
        # The first sample counts for the minute before it, the last one also for that after it.
        yield Span(conventions.SERVER_REQUESTS, labels, start + STEP, end - STEP, amount)
