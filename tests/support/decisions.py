"""Decisions as a launch would have them made, from the meter on."""

from __future__ import annotations

from datetime import UTC, datetime

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.quotas.decide import Decision
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.inputs import gather
from jupyterhub_usage_quotas.status.members import NO_MEMBERS, Members


async def decided_by(
    manager: UsageQuotaManager,
    request: Request,
    now: datetime | None = None,
    members: Members = NO_MEMBERS,
) -> Decision:
    """The decision on a request, by the policies, the meter and the ledger of a manager."""
    at, subject = now or datetime.now(UTC), request.subject
    gathered = await gather(manager.policies, manager.meter, manager.ledger, [subject], at, members)
    return gathered.of(subject).decide(request)
