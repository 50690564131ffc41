"""How a verdict is put into words wherever people read it: the viewer, and the Hub's own pages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from ..quotas.policy.selector import ServerSelector
from ..quotas.units import show
from ..quotas.usage import NOT_READ_YET, Fresh, Reading, Stale
from ..quotas.verdict import Verdict

SHORT = 0.8
"""The share of an allowance from which on people are warned."""
SOON = timedelta(days=1)
"""Who will have used up something by then is warned, too."""
LEVELS: Mapping[str, str] = MappingProxyType(
    {
        "within": "OK",
        "short": "Nearly used up",
        "over": "Used up",
        "unknown": "Not known",
    }
)
"""What the levels are called."""
NOT_ENFORCED = "Quotas are not enforced at the moment."
"""What is said beside all that a quota says where a launch is never denied."""


def used_share(verdict: Verdict) -> float | None:
    """Which share of an allowance is used; None where that is not known or there is no limit."""
    if verdict.used is None or math.isinf(verdict.allowance):
        return None
    if verdict.allowance <= 0:
        return 1.0
    return verdict.used / verdict.allowance


def level(verdict: Verdict, exhausted_at: datetime | None, now: datetime) -> str:
    """One of `LEVELS`. It is short where most is used, and where the servers that run use up the
    rest soon.
    """
    if verdict.fits is False:
        return "over"
    if verdict.used is None:
        return "unknown"
    if exhausted_at is not None and exhausted_at <= now + SOON:
        return "short"
    share = used_share(verdict)
    return "short" if share is not None and share >= SHORT else "within"


def shown_used(verdict: Verdict) -> str:
    """What is used; empty where that is not known."""
    return "" if verdict.used is None else show(verdict.used, verdict.allotment.limit.unit)


def shown_allowance(verdict: Verdict) -> str:
    """What may be used in all."""
    if math.isinf(verdict.allowance):
        return "unlimited"
    if math.isnan(verdict.allowance):
        return "not known"
    return show(verdict.allowance, verdict.allotment.limit.unit)


def shown_remaining(verdict: Verdict) -> str:
    """What remains; empty where that is not known, or without limit."""
    if verdict.remaining is None or math.isinf(verdict.allowance):
        return ""
    return show(max(verdict.remaining, 0.0), verdict.allotment.limit.unit)


def shown_servers(servers: ServerSelector) -> str:
    """Which servers count, where not all of them do."""
    said = []
    if servers.gpu is not None:
        said.append("with a GPU" if servers.gpu else "without a GPU")
    if servers.profile:
        said.append(f"with the profile {' or '.join(servers.profile)}")
    if servers.name:
        said.append(f"with the name {' or '.join(one or '(none)' for one in servers.name)}")
    return f"Only servers {' and '.join(said)} count." if said else ""


def notice(reading: Reading, *, may_start: bool) -> str:
    """What to say where usage is not known, or known only as it was."""
    if isinstance(reading, Fresh):
        return ""
    if reading.reason == NOT_READ_YET:
        return "Usage is still being added up. It is known in a few minutes."
    then = "may start" if may_start else "are not started"
    if isinstance(reading, Stale):
        return f"Usage is only known as it was a while ago. Until it is known, servers {then}."
    return f"Usage is not known at the moment. Until it is, servers {then}."
