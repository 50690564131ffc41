"""Doubts: a line for the admin about each value that is accepted and probably not meant."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from ..messages import shown
from ..resource import Resource
from ..resources import BY_RUNNING, with_gpu
from ..sessions import costing
from ..units import show_duration
from .limits import bare_number
from .look_alikes import as_usual, looks_like_another
from .patterns import is_a_pattern, matches_everything, not_on_one_line
from .policy import Policy, PolicySet
from .scope import Names
from .selector import SERVER, ServerAttributes, ServerSelector


def doubts(policies: PolicySet) -> Iterator[str]:
    """A line about everything that is accepted and probably not meant."""
    own = {policy.measure for policy in policies if not policy.pooled}
    for policy in policies:
        place = f"policy {shown(policy.name)}"
        if policy.overflow and policy.measure not in own:
            yield (
                f"{place}: overflow has no effect: no individual policy has the same resource,"
                " window and servers"
            )
        for line in (*_doubts_of_policy(policy), *_doubts_of_session(policy, policies)):
            yield f"{place}: {line}"


def limits_without_unit(
    where: str, entries: object, resources: Mapping[str, Resource]
) -> Iterator[str]:
    """A line for every limit of one entry or several that only 2i2c's package says the unit of."""
    listed = entries if isinstance(entries, list | tuple) else None
    for index, entry in enumerate([entries] if listed is None else listed):
        if not isinstance(entry, Mapping):
            continue
        resource = resources.get(str(entry.get("resource")))
        limit = entry.get("limit")
        if resource and (number := bare_number(limit, resource)) is not None:
            means = f"{number} {resource.bare_unit}"
            what, why = "has no unit and", ""
            if isinstance(limit, str):
                what, why = shown(limit), ", as 2i2c's package reads it"
            place = f"{where}[{index}]" if listed is not None else where
            yield f"{place}.limit {what} is taken as {means}{why}; write {means!r}"


def _doubts_of_policy(policy: Policy) -> Iterator[str]:
    if looks_like_another(policy.name):
        yield "its name has characters that cannot be seen, or look like others"
    for field, covered in (("scope", policy.scope), ("exempt", policy.exempt)):
        yield from (f"{field}.user: {line}" for line in _doubts_of_users(covered.user))
        yield from (f"{field}.group: {line}" for line in _doubts_of_names(covered.group))
    for kind in ("user", "group"):
        both = getattr(policy.scope, kind).within(getattr(policy.exempt, kind))
        if both:
            names = ", ".join(map(shown, both[:3]))
            yield f"scope and exempt both name {kind} {names}; exempt takes precedence"
    if policy.scope.admin and policy.exempt.admin:
        yield "scope and exempt both name admins; exempt takes precedence"
    if policy.scope.everyone and any(map(matches_everything, policy.exempt.user.globs)):
        yield "exempt has everybody, so the policy limits nobody"
    yield from _doubts_of_servers(policy.servers)


def _doubts_of_servers(servers: ServerSelector) -> Iterator[str]:
    yield from _doubts_of_kinds(servers)
    if servers.profile and any(map(matches_everything, servers.except_profile)):
        yield "servers selects nothing: except_profile has every profile"
    for kind in ("profile", "except_profile", "name", "kind"):
        for pattern in getattr(servers, kind):
            if pattern != pattern.strip():
                yield f"servers.{kind}: {shown(pattern)} has space around it, which must match too"
            elif looks_like_another(pattern):
                yield f"servers.{kind}: {_alike(pattern)}"


def _doubts_of_kinds(servers: ServerSelector) -> Iterator[str]:
    if servers.kind and servers.name and not _has_server(servers.kind):
        kinds = ", ".join(map(shown, servers.kind))
        yield (
            f"servers selects nothing: only servers of the kind {shown(SERVER)} have a name, and"
            f" kind names {kinds}"
        )
    for pattern in servers.kind:
        if not _has_server((pattern,)) and _has_server((pattern.lower(),)):
            yield f"servers.kind: {shown(pattern)} matches no server; expected {shown(SERVER)}"


def _has_server(kinds: Sequence[str]) -> bool:
    return ServerSelector.model_construct(kind=tuple(kinds)).selects(ServerAttributes())


def _least_rate(policy: Policy, policies: PolicySet) -> float:
    """What any server that a policy selects uses of its resource per second, at the least: what
    every server uses by running, and a GPU where it must have one.
    """
    rates = with_gpu(BY_RUNNING) if policy.servers.gpu else BY_RUNNING
    prices = policies.prices_of(policy.resource)
    return costing(rates, prices) if prices else rates.get(policy.resource, 0.0)


def _doubts_of_session(policy: Policy, policies: PolicySet) -> Iterator[str]:
    """What a session takes at the least is known where a server uses a resource by running."""
    rate = _least_rate(policy, policies)
    if 0 < policy.limit.base < rate * policy.minimum_session.total_seconds():
        session = show_duration(policy.minimum_session)
        yield (
            "minimum_session is longer than the limit, so no server can start without a grant:"
            f" got {session}; expected at most {_longest_session(policy, rate)}"
        )


def _longest_session(policy: Policy, rate: float) -> str:
    return show_duration(timedelta(seconds=math.floor(policy.limit.base / rate)))


def _doubts_of_users(names: Names) -> Iterator[str]:
    yield from _doubts_of_names(names)
    for name in (*names.exact, *names.globs):
        if name != name.lower():
            yield (
                f"{shown(name)} has capital letters, and JupyterHub makes usernames lower case"
                f" unless the authenticator says otherwise; expected {shown(name.lower())}"
            )


def _doubts_of_names(names: Names) -> Iterator[str]:
    for name in (*names.exact, *names.globs):
        if name != name.strip():
            yield f"{shown(name)} has space around it, which is part of the name"
        elif not_on_one_line(name):
            yield f"{shown(name)} has characters that no name is likely to have"
        elif looks_like_another(name):
            yield _alike(name)
    for name in names.exact:
        if is_a_pattern(name):
            yield f"{shown(name)} is taken literally; write {{glob: {shown(name)}}} for a pattern"


def _alike(name: str) -> str:
    return (
        f"{shown(name)} has characters that cannot be seen, or look like others; is it"
        f" {shown(as_usual(name))}?"
    )
