"""Doubts: a line for the admin about each value that is accepted and probably not meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..messages import shown
from ..resources import Resource
from ..units import show, show_duration
from .limits import is_bare
from .patterns import is_a_pattern, not_on_one_line
from .policy import Policy, PolicySet
from .scope import Names


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
    """A line for every limit that is a whole number, whose unit 2i2c's package defines."""
    for index, entry in enumerate(entries if isinstance(entries, list | tuple) else ()):
        if not isinstance(entry, Mapping):
            continue
        resource = resources.get(str(entry.get("resource")))
        if resource and is_bare(entry.get("limit"), resource):
            limit = f"{entry['limit']} {resource.bare_unit}"
            yield f"{where}[{index}].limit has no unit and is taken as {limit}; write {limit!r}"


def _doubts_of_policy(policy: Policy) -> Iterator[str]:
    for field, covered in (("scope", policy.scope), ("exempt", policy.exempt)):
        yield from (f"{field}.user: {line}" for line in _doubts_of_users(covered.user))
        yield from (f"{field}.group: {line}" for line in _doubts_of_names(covered.group))
    for kind in ("user", "group"):
        both = getattr(policy.scope, kind).shares_with(getattr(policy.exempt, kind))
        if both:
            names = ", ".join(map(shown, both[:3]))
            yield f"scope and exempt both name {kind} {names}; exempt takes precedence"
    for kind in ("profile", "name"):
        for pattern in getattr(policy.servers, kind):
            if pattern != pattern.strip():
                yield f"servers.{kind}: {shown(pattern)} has space around it, which must match too"


def _doubts_of_session(policy: Policy, policies: PolicySet) -> Iterator[str]:
    """What a session takes is known only where a server uses a resource just by running."""
    seconds = policy.minimum_session.total_seconds()
    if policies.resources[policy.resource].by_running and 0 < policy.limit.base < seconds:
        session = show_duration(policy.minimum_session)
        yield (
            "minimum_session is longer than the limit, so no server can start without a grant:"
            f" got {session}; expected at most {show(policy.limit.base, policy.limit.unit)}"
        )


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
    for name in names.exact:
        if is_a_pattern(name):
            yield f"{shown(name)} is taken literally; write {{glob: {shown(name)}}} for a pattern"
