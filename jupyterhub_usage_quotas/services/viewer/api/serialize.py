"""The viewer's answers as plain values, for JSON. What they look like is in `openapi.py`.

Nothing here says how usage is learnt: an address or an error of Prometheus is for admins' logs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from ....quotas.adjustments import Adjustment, Grant, Override
from ....quotas.decide import Decision
from ....quotas.forecast import HORIZON, Outlook
from ....quotas.policy.policy import Policy, PolicySet
from ....quotas.policy.selector import ServerAttributes
from ....quotas.serialize import iso, report, report_home, report_verdict
from ....quotas.units import Unit
from ....quotas.usage import Fresh, Reading, Stale, Unknown, Usage
from ....status import text as wording
from ....status.standing import Standing
from ..pages.sessions import Session, Slot, unit_of


def standing_values(standing: Standing, *, enforcement: str) -> dict[str, Any]:
    """Where a user stands: the report of `check --json`, and more."""
    known = standing.known
    return {
        **decision_values(standing.decision),
        "as_of": iso(known.now),
        "enforcement": enforcement,
        "running_servers": [server_values(one.server) for one in standing.servers],
        "verdicts": [verdict_values(standing, outlook) for outlook in standing.outlooks],
        "home_storage": report_home(standing.home),
    }


def decision_values(decision: Decision) -> dict[str, Any]:
    """A decision, without what only admins may read."""
    values = report(decision)
    del values["failover_detail"]
    return values


def verdict_values(standing: Standing, outlook: Outlook) -> dict[str, Any]:
    """One verdict and its outlook."""
    verdict = outlook.verdict
    unit = verdict.allotment.limit.unit
    back = standing.gets_back(verdict)
    resource = standing.known.policies.resources[verdict.allotment.resource]
    return {
        **report_verdict(verdict),
        "display_name": resource.display_name,
        "window_phrase": verdict.allotment.window.phrase,
        **reading_values(verdict.reading),
        "exhausted_at": iso(outlook.exhausted_at),
        "gets_back": {"at": iso(back.at), "amount": back.amount / unit.factor} if back else None,
        "grants": [adjustment_values(one, unit) for one in standing.active(verdict)],
    }


def reading_values(reading: Reading) -> dict[str, Any]:
    """Whether usage is known, and why not."""
    match reading:
        case Fresh():
            return {"state": "fresh", "reason": None}
        case Stale(reason=reason):
            return {"state": "stale", "reason": reason}
        case Unknown(reason=reason):
            return {"state": "unknown", "reason": reason}


def adjustment_values(adjustment: Adjustment, unit: Unit) -> dict[str, Any]:
    """A grant, override or exemption in force."""
    amount = None
    if isinstance(adjustment, Grant):
        amount = adjustment.amount
    elif isinstance(adjustment, Override):
        amount = adjustment.limit
    return {
        "kind": type(adjustment).__name__.lower(),
        "amount": None if amount is None else amount / unit.factor,
        "until": iso(adjustment.until),
    }


def row_values(standing: Standing) -> dict[str, Any]:
    """A user's row in the table of all users."""
    return {
        "user": standing.subject.name,
        "groups": sorted(standing.subject.groups),
        "admin": standing.subject.admin,
        "outcome": standing.decision.outcome.value,
        "retry_time": iso(standing.decision.retry_time),
        "state": row_state(standing),
        "verdicts": [
            {
                **{key: values[key] for key in ROW_KEYS},
                "share": used_share(outlook),
                "exhausted_at": iso(outlook.exhausted_at),
            }
            for outlook in standing.outlooks
            for values in [
                report_verdict(outlook.verdict) | reading_values(outlook.verdict.reading)
            ]
        ],
    }


ROW_KEYS = (
    "policy",
    "resource",
    "window",
    "used",
    "allowance",
    "remaining",
    "unit",
    "fits",
    "state",
)


def row_state(standing: Standing) -> str:
    """ "over", "soon" (will be within a day, at the present servers), "unknown" or "within"."""
    fits = [one.fits for one in standing.decision.verdicts]
    if False in fits:
        return "over"
    if None in fits:
        return "unknown"
    last = standing.known.now + wording.SOON
    ends = [one.exhausted_at for one in standing.outlooks if one.exhausted_at]
    return "soon" if any(end <= last for end in ends) else "within"


def used_share(outlook: Outlook) -> float | None:
    """Which share of an allowance is used; None where that is not known or there is no limit."""
    return wording.used_share(outlook.verdict)


def forecast_values(decision: Decision, lasts: timedelta | None) -> dict[str, Any]:
    """How long a server could run, and why not longer."""
    known = decision.outcome.value in ("allowed", "denied")
    return {
        **decision_values(decision),
        "known": known,
        "lasts_seconds": lasts.total_seconds() if lasts is not None and known else None,
        "horizon_seconds": HORIZON.total_seconds(),
    }


def server_values(server: ServerAttributes) -> dict[str, Any]:
    """What is known of a server."""
    return {
        "name": server.name,
        "profile": server.profile,
        "profile_name": server.profile_name,
        "gpu": server.gpu,
    }


def session_values(session: Session, policies: PolicySet) -> dict[str, Any]:
    """A session."""
    return {
        "server": server_values(session.server),
        "from": iso(session.start),
        "to": iso(session.end),
        "ongoing": session.ongoing,
        "used": {
            resource: in_unit(amount, unit_of(policies, resource))
            for resource, amount in sorted(session.used.items())
        },
    }


def in_unit(amount: float, unit: Unit) -> dict[str, Any]:
    """An amount in base units, as a number and its unit."""
    return {"amount": amount / unit.factor, "unit": unit.symbol}


def slot_values(slot: Slot, unit: Unit) -> dict[str, Any]:
    """A slot of usage over time."""
    return {
        "from": iso(slot.start),
        "to": iso(slot.end),
        "amount": slot.amount / unit.factor,
        "server": server_values(slot.server),
    }


def coverage_values(usage: Usage | None) -> dict[str, Any]:
    """How far usage is known, and how completely."""
    return {
        "covered_until": iso(usage.covered_until) if usage else None,
        "coverage": usage.coverage if usage else None,
    }


def policy_values(policy: Policy, policies: PolicySet, *, whole: bool) -> dict[str, Any]:
    """A policy; only as a `whole` with whom it covers, for those are names of other users."""
    values: dict[str, Any] = {
        "name": policy.name,
        "resource": policy.resource,
        "display_name": policies.resources[policy.resource].display_name,
        "limit": {
            # That of an exported limit is each user's own.
            "value": policy.limit.value if math.isfinite(policy.limit.value) else None,
            "unit": policy.limit.unit.symbol,
        },
        "window": str(policy.window),
        "window_phrase": policy.window.phrase,
        "servers": policy.servers.model_dump(mode="json"),
        "share": policy.share.value,
        "overflow": policy.overflow.value if policy.overflow else None,
        "minimum_session_seconds": policy.minimum_session.total_seconds(),
        "when_exhausted": policy.when_exhausted.value,
    }
    if whole:
        values["scope"] = None if policy in policies.empty else _names(policy.scope)
        values["exempt"] = _names(policy.exempt)
    return values


def _names(whom: Any) -> Mapping[str, Any]:
    """A scope or exemption, written as an admin writes it."""
    written: dict[str, Any] = {
        kind: _list(getattr(whom, kind)) for kind in ("group", "user") if getattr(whom, kind)
    }
    flags = ("everyone", "admin")
    return written | {flag: True for flag in flags if getattr(whom, flag, False)}


def _list(names: Any) -> list[Any]:
    globs: Iterable[str] = names.globs
    return [*names.exact, *({"glob": glob} for glob in globs)]
