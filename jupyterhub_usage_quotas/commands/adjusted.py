"""Adjustments in words, for people who read a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..config.files.loading import printable
from ..ledger.reports import AdjustmentReport, RecordedReport


def adjustment_lines(reports: Iterable[AdjustmentReport]) -> Iterator[str]:
    """A line for each."""
    for one in reports:
        amount = "" if one.amount is None else f" of {one.amount:g} {one.unit or 'base units'}"
        whose = f" for {printable(one.user)}" if one.user is not None else " for everyone"
        by = one.voided if isinstance(one, RecordedReport) else None
        voided = "" if by is None else f" (voided by {printable(by.actor)}: {printable(by.reason)})"
        yield (
            f"adjustment {one.id}: {one.kind}{amount}{whose}, policy {printable(one.policy)}, from"
            f" {one.start:%Y-%m-%d %H:%M} to {one.until:%Y-%m-%d %H:%M} UTC, by"
            f" {printable(one.actor)}: {printable(one.reason)}{voided}"
        )
