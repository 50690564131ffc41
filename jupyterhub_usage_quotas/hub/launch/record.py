"""The record of a decision on a launch: one value, the same for every observer."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ...config.quotas import Enforcement
from ...quotas.decide import Decision, Outcome
from ...quotas.messages import LONGEST_REASON, printable
from ...quotas.policy.selector import ServerAttributes
from ...quotas.subject import Subject
from ...quotas.usage import Stale, Unknown
from ...status.text import for_log, verdict_for_log


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision on a launch, and what followed from it.

    The launch asked for it at `asked`, and had it at `decided`.
    """

    decision: Decision
    enforcement: Enforcement
    asked: datetime
    decided: datetime

    @property
    def subject(self) -> Subject:
        """The user of the server."""
        return self.decision.request.subject

    @property
    def server(self) -> ServerAttributes:
        """The server that was about to start."""
        return self.decision.request.server

    @property
    def denied(self) -> bool:
        """Whether the launch really was denied."""
        return not self.decision.allowed and self.enforcement is Enforcement.enforce


class DecisionObserver(Protocol):
    """Gets every decision on a launch."""

    def decided(self, record: DecisionRecord) -> None:
        """Called once for each decision, before the launch goes on or is denied.

        The launch waits for it. What it raises is logged, and changes nothing about the launch.
        """
        ...


class DecisionLog:
    """Writes decisions into the Hub's log: denials and warnings, and each cause of failover once,
    until usage is known again.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._causes_logged: set[str] = set()

    def decided(self, record: DecisionRecord) -> None:
        """See `DecisionObserver`."""
        decision = record.decision
        if isinstance(decision.failover, Stale | Unknown):
            self._log_failover(decision.failover, decision)
        elif decision.verdicts and self._causes_logged:
            self._causes_logged.clear()
            self._log.info("Usage data is available again; leaving failover")
        for verdict in decision.warnings:
            said = verdict_for_log(verdict)
            self._log.info("Over a quota that only warns: %r: %s", record.subject.name, said)
        if decision.outcome is Outcome.DENIED:
            shadow = record.enforcement is Enforcement.shadow
            prefix = "Would deny (shadow)" if shadow else "Denied"
            self._log.info("%s a launch: %s", prefix, for_log(decision))

    def _log_failover(self, reading: Stale | Unknown, decision: Decision) -> None:
        if reading.reason in self._causes_logged:
            return
        self._causes_logged.add(reading.reason)
        self._log.warning(
            "Usage is not known (%s: %s); until it is, launches are %s (failover_open = %s)",
            reading.reason,
            printable(reading.detail, LONGEST_REASON),
            "allowed" if decision.allowed else "denied",
            decision.allowed,
        )
