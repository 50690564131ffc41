"""What `check` prints for people: a table of verdicts, and which policies apply and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from ..config.files.loading import printable
from ..config.quotas import Enforcement
from ..quotas.applicability import Applicability
from ..quotas.decide import Decision, Outcome
from ..quotas.resource import Resource
from ..quotas.resources import Resources
from ..quotas.serialize import iso, there_of
from ..quotas.units import show_duration
from ..quotas.usage import Fresh, Reading, Stale, Unknown
from ..quotas.verdict import Verdict
from ..status.text import NOT_KNOWN, VerdictText

FULL_COVERAGE = 0.99


def explained(
    decision: Decision,
    lasts: timedelta | None,
    enforcement: Enforcement,
    resources: Resources,
    applicabilities: Sequence[Applicability],
) -> list[str]:
    """The lines about a decision."""
    request = decision.request
    groups = ", ".join(map(printable, sorted(request.subject.groups))) or "none"
    lines = [
        f"{printable(request.subject.name)} (groups: {groups}): {_headline(decision, resources)}"
    ]
    if enforcement is not Enforcement.enforce:
        lines.append(f"Enforcement is {enforcement.value}: the Hub denies no launch.")
    why = [printable(str(one)) for one in applicabilities]
    if not decision.verdicts:
        return [*lines, "No policy limits this user.", *([""] if why else []), *why]
    rows: list[tuple[str, ...]] = [
        ("POLICY", "RESOURCE", "WINDOW", "USED", "ALLOWANCE", "REMAINING", "FITS", "RETRY")
    ]
    rows += [_row(verdict, resources) for verdict in decision.verdicts]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines.append("")
    lines += [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if lasts:
        how_long = show_duration(lasts)
        lines += ["", f"The server could run for {how_long} before a quota is used up."]
    return [*lines, "", *why, *_notes(decision)]


def _freed(verdict: Verdict, resources: Resources) -> str:
    resource = resources[verdict.allotment.resource]
    amount = resource.show_more_than(verdict.to_free or 0.0)
    return f"at least {amount} of {resource.in_a_sentence} is freed"


def gauge_lines(resource: Resource, reading: Reading) -> list[str]:
    """The lines about what a user has now of a resource."""
    there = there_of(reading)
    if there is None:
        return []
    limit = f" of {resource.show(there.limit)}" if there.limit else ""
    when = f"measured at {iso(there.covered_until)}"
    if not isinstance(reading, Fresh):
        when += ", too long ago to be sure"
    return ["", f"{resource.display_name}: {resource.show(there.amount)}{limit} used, {when}."]


def _headline(decision: Decision, resources: Resources) -> str:
    match decision.outcome:
        case Outcome.ALLOWED:
            return "a launch is allowed"
        case Outcome.DENIED if decision.retry_time:
            return f"a launch is DENIED until {iso(decision.retry_time)}"
        case Outcome.DENIED if decision.freeing:
            freed = " and ".join(_freed(one, resources) for one in decision.freeing)
            after = f", and until {iso(decision.once_freed)}" if decision.once_freed else ""
            return f"a launch is DENIED until {freed}{after}"
        case Outcome.DENIED:
            return "a launch is DENIED, and waiting will not help"
        case Outcome.FAILOVER_OPEN:
            return "usage is UNKNOWN; a launch is allowed (failover_open = True)"
        case Outcome.FAILOVER_CLOSED:
            return "usage is UNKNOWN; a launch is denied (failover_open = False)"


def _row(verdict: Verdict, resources: Resources) -> tuple[str, ...]:
    text = VerdictText.of(verdict)
    return (
        printable(verdict.allotment.name),
        verdict.allotment.resource,
        str(verdict.allotment.window),
        text.used,
        text.allowance,
        text.remaining,
        _fits(verdict),
        _retry(verdict, resources),
    )


def _retry(verdict: Verdict, resources: Resources) -> str:
    if verdict.to_free is not None:
        resource = resources[verdict.allotment.resource]
        return f"free {resource.show_more_than(verdict.to_free)}"
    return iso(verdict.retry_time) or ("never" if verdict.never else "")


def _fits(verdict: Verdict) -> str:
    if not verdict.applies:
        return "(other servers)"
    if verdict.fits is False and not verdict.allotment.denies:
        return "no (warns)"
    return {True: "yes", False: "NO", None: NOT_KNOWN}[verdict.fits]


def _notes(decision: Decision) -> list[str]:
    notes = []
    if isinstance(decision.failover, Stale | Unknown):
        notes += ["", f"Why usage is unknown: {decision.failover.detail}"]
    shares = [
        verdict.reading.usage.coverage
        for verdict in decision.verdicts
        if isinstance(verdict.reading, Fresh) and verdict.reading.usage.coverage is not None
    ]
    if shares and min(shares) < FULL_COVERAGE:
        notes += [
            "",
            f"The usage source was seen in {min(shares):.0%} of the longest window; what was used"
            " in the rest is not known and not counted.",
        ]
    return notes
