"""Metrics of the guard of running servers, on the Hub's metrics endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from ... import conventions
from ...conventions import StopOutcome
from ...quotas.stopping.notices import NoticeKind
from ...quotas.stopping.states import State

stops = Counter(
    conventions.GUARD_STOPS,
    "Running servers whose quota is used up, by what came of stopping them",
    ["outcome"],
)
notices = Counter(
    conventions.GUARD_NOTICES, "What users of running servers were told, by kind", ["kind"]
)
watched = Gauge(
    conventions.GUARD_SERVERS,
    "Running servers that policies may stop, by where they stand",
    ["state"],
)
pending = Gauge(conventions.GUARD_STOPS_PENDING, "Stops that were requested and go on")
slow = Gauge(
    conventions.GUARD_STOPS_SLOW, "Stops that were requested more than five minutes ago and go on"
)
seconds = Histogram(
    conventions.GUARD_SECONDS,
    "How long a look at all running servers took the Hub",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)
rounds = Counter(conventions.GUARD_ROUNDS, "Looks at all running servers, by outcome", ["outcome"])
deliveries = Counter(
    conventions.NOTICE_DELIVERIES, "Notices sent to a configured target, by outcome", ["outcome"]
)
waiting = Gauge(
    conventions.NOTICES_WAITING, "Notices that a configured target has refused and that wait"
)

for _outcome in StopOutcome:
    stops.labels(outcome=_outcome)
for _kind in NoticeKind:
    notices.labels(kind=_kind)
for _outcome_of_round in ("success", "failure"):
    rounds.labels(outcome=_outcome_of_round)
for _delivery in ("success", "failure", "given_up"):
    deliveries.labels(outcome=_delivery)

SHOWN: Final = tuple(one for one in State if one is not State.STOPPED)


def show_states(numbers: Mapping[State, int]) -> None:
    """Show how many servers there are in each state."""
    for state in SHOWN:
        watched.labels(state=state).set(numbers.get(state, 0))
