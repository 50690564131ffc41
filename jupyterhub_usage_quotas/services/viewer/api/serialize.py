"""Users' status and usage as the models of the JSON API."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ....config.quotas import Enforcement
from ....conventions import HOME_STORAGE
from ....quotas.policy.policy import Policy, PolicySet
from ....quotas.serialize import report_gauges, report_home, state_of
from ....quotas.units import Unit
from ....status.reports import report_server, report_verdict
from ....status.text import used_share
from ....status.users import UserStatus
from ..sessions import Session, Slot, unit_of
from ..table import row_state
from . import models


def status(given: UserStatus, enforcement: Enforcement) -> models.Standing:
    """Where a user stands: the report of `check --json`, and more."""
    gauges = report_gauges(given.inputs.gauges, given.inputs.policies.resources)
    return models.Standing.of(
        given.decision,
        as_of=given.inputs.now,
        enforcement=enforcement,
        running_servers=tuple(report_server(one.server) for one in given.servers),
        verdicts=tuple(report_verdict(given, outlook) for outlook in given.outlooks),
        gauges=gauges,
        home_storage=report_home(gauges.get(HOME_STORAGE)),
    )


def row(given: UserStatus) -> models.Row:
    """A user's row in the table of all users."""
    return models.Row(
        user=given.subject.name,
        groups=tuple(sorted(given.subject.groups)),
        admin=given.subject.admin,
        outcome=given.decision.outcome,
        retry_time=given.decision.retry_time,
        state=row_state(given),
        verdicts=tuple(
            models.RowVerdict.of(
                outlook.verdict,
                state=state_of(outlook.verdict.reading).state,
                share=used_share(outlook.verdict),
                exhausted_at=outlook.exhausted_at,
            )
            for outlook in given.outlooks
        ),
    )


def session(given: Session, policies: PolicySet) -> models.Session:
    """A session."""
    units = {resource: unit_of(policies, resource) for resource in sorted(given.used)}
    return models.Session(
        server=report_server(given.server),
        start=given.start,
        end=given.end,
        ongoing=given.ongoing,
        used={
            resource: models.Amount(amount=given.used[resource] / unit.factor, unit=unit.symbol)
            for resource, unit in units.items()
        },
    )


def bucket(slot: Slot, unit: Unit) -> models.Bucket:
    """A slot of usage over time."""
    return models.Bucket(
        start=slot.start,
        end=slot.end,
        amount=slot.amount / unit.factor,
        server=report_server(slot.server),
    )


def policy(given: Policy, policies: PolicySet, *, whole: bool) -> models.Policy:
    """A policy; only a `whole` one has the users it covers, since those are names of others."""
    limit, servers = given.limit, given.servers
    found = models.Policy(
        name=given.name,
        resource=given.resource,
        display_name=policies.resources[given.resource].display_name,
        limit=models.Limit(
            # That of an exported limit is each user's own.
            value=limit.value if math.isfinite(limit.value) else None,
            unit=limit.unit.symbol,
        ),
        window=str(given.window),
        window_phrase=given.window.phrase,
        servers=models.Selector(
            profile=servers.profile,
            except_profile=servers.except_profile,
            name=servers.name,
            gpu=servers.gpu,
            kind=servers.kind,
        ),
        share=given.share,
        overflow=given.overflow,
        minimum_session_seconds=given.minimum_session.total_seconds(),
        when_exhausted=given.when_exhausted,
    )
    if not whole:
        return found
    scope = None if given in policies.empty else _whom(given.scope)
    return models.PolicyAndScope(**vars(found), scope=scope, exempt=_whom(given.exempt))


def _whom(whom: Any) -> models.Whom:
    """A scope or exemption, written as an admin writes it."""
    written: models.Whom = {}
    if whom.group:
        written["group"] = _names(whom.group)
    if whom.user:
        written["user"] = _names(whom.user)
    if getattr(whom, "everyone", False):
        written["everyone"] = True
    if getattr(whom, "admin", False):
        written["admin"] = True
    return written


def _names(names: Any) -> tuple[str | models.Glob, ...]:
    globs: Iterable[str] = names.globs
    return (*names.exact, *(models.Glob(glob=glob) for glob in globs))
