"""The audit log: a line for everything that is written into a ledger, whichever way."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ..quotas.adjustments import Adjustment
from ..quotas.messages import printable, said_by
from ..quotas.policy.policy import PolicySet
from ..quotas.subject import Everyone, Subject
from .base import PAGE, Check, Held, Journal, no_check
from .reports import recorded_report

Event = Literal["made", "voided", "repeated", "imported", "forgotten"]
Through = Literal["dashboard", "command line", "hub"]


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Writes lines into a file, or where there is none, with `say`, into the process's own log.

    It never fails: lines that the file does not take are said, and so is why, with `complain`.
    """

    through: Through
    say: Callable[[str], None]
    complain: Callable[[str], None]
    file: Path | None = None
    as_json: bool = False

    async def add(self, event: Event, details: Sequence[Mapping[str, Any]]) -> None:
        """Add a line for each of these details, which JSON can hold."""
        common = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "through": self.through,
        }
        in_words = json.dumps if self.as_json else _in_words
        lines = [in_words(common | dict(one)) for one in details]
        if lines:
            # A disk may be slow.
            await asyncio.to_thread(self._add, lines)

    def _add(self, lines: Sequence[str]) -> None:
        if self.file is not None:
            try:
                _append(self.file, lines)
            except OSError as error:
                why = said_by(error)
                self.complain(
                    f"The audit log cannot be written: {why}; make {printable(str(self.file))}"
                    " writable. What was to be written into it follows"
                )
            else:
                return
        for line in lines:
            self.say(f"audit: {line}")


def _in_words(details: Mapping[str, Any]) -> str:
    """Fields with their values as JSON has them, so that none can be taken for another."""
    return " ".join(f"{name}={_shown(value)}" for name, value in details.items())


def _shown(value: object) -> str:
    """As JSON, in people's own letters unless one of them steers a terminal or ends a line."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


def _append(file: Path, lines: Sequence[str]) -> None:
    """Append lines at once, so that those of other processes are not in between."""
    # A pipe that nobody reads is not waited for. Names and reasons are people's own.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(file, flags, 0o600)
    try:
        found = os.fstat(descriptor)
        regular = stat.S_ISREG(found.st_mode)
        # A disk that was full may have left half a line.
        torn = regular and found.st_size and os.pread(descriptor, 1, found.st_size - 1) != b"\n"
        content = ("\n" if torn else "") + "".join(f"{line}\n" for line in lines)
        rest = memoryview(content.encode())
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if regular:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class AuditedJournal:
    """A `Journal` that adds a line to the audit log for each adjustment that it wrote or voided.

    A request that was carried out before, by its key, is `repeated`: whoever reads the lines finds
    it also where the process ended right after the first time.
    """

    journal: Journal
    log: AuditLog
    policies: PolicySet

    async def active(self, subjects: Collection[Subject] | Everyone, at: datetime) -> Any:
        """See `Ledger`."""
        return await self.journal.active(subjects, at)

    async def record(
        self, drafts: Sequence[Adjustment], *, key: str = "", check: Check = no_check
    ) -> Sequence[Adjustment]:
        """See `Journal`."""
        seen = _Seen(check)
        written = await self.journal.record(drafts, key=key, check=seen)
        await self._add("made" if seen.new else "repeated", written)
        return written

    async def void(
        self, number: int, *, actor: str, reason: str, key: str = "", check: Check = no_check
    ) -> Adjustment:
        """See `Journal`."""
        seen = _Seen(check)
        voided = await self.journal.void(number, actor=actor, reason=reason, key=key, check=seen)
        await self._add("voided" if seen.new else "repeated", [voided])
        return voided

    async def history(
        self,
        subjects: Collection[Subject] | Everyone,
        *,
        before: int | None = None,
        limit: int = PAGE,
    ) -> Sequence[Adjustment]:
        """See `Journal`."""
        return await self.journal.history(subjects, before=before, limit=limit)

    async def aclose(self) -> None:
        """See `Ledger`."""
        await self.journal.aclose()

    async def _add(self, event: Event, adjustments: Sequence[Adjustment]) -> None:
        reports = [recorded_report(one, self.policies) for one in adjustments]
        await self.log.add(event, [one.model_dump() for one in reports])


class _Seen:
    """A check that notes that it was made: it is right before something new is written."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self.new = False

    def __call__(self, held: Held) -> None:
        self._check(held)
        self.new = True
