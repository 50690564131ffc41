"""Checks of what an admin defined, and of gauges: does Prometheus have it, and by username?

Home storage has a check of its own, since what its directories are called is an option.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from ...config.homes import HOME_STORAGE
from ...errors import DatabaseUnreadable, QueryRejected
from ...metering.client.promql import ever_there
from ...metering.sources.base import STEP, GaugeSource, GaugeValue
from ..deployment import Deployment
from ..findings import Finding, counted, failed, listed, ok, warning

LOOK_BACK = timedelta(days=1)
LABEL = "username"
BY_USERNAME = (
    "Add it up by user, for example sum by (username) (...), or make the label of another one with"
    " label_replace."
)


async def resources(deployment: Deployment) -> list[Finding]:
    """Whether there are series of the resources that an admin defined, and of gauges."""
    manager, found = deployment.manager, list[Finding]()
    people = await _usernames(deployment)
    for name, entry in manager.resources.items():
        found += await _expression(deployment, name, entry["promql"], people)
    for gauge in manager.make_gauges():
        if gauge.resource != HOME_STORAGE.resource:
            found += await _gauge(deployment, gauge, people)
    return found or [ok("no resources of your own (c.UsageConfig.resources)")]


async def _usernames(deployment: Deployment) -> frozenset[str]:
    """The names of all users; none where the Hub's database cannot be read."""
    try:
        return frozenset(one.name for one in (await deployment.in_hub()).subjects)
    except DatabaseUnreadable:
        # The check of groups says so.
        return frozenset()


async def _expression(
    deployment: Deployment, name: str, promql: str, people: frozenset[str]
) -> list[Finding]:
    option, now = f'c.UsageConfig.resources["{name}"]', deployment.clock()
    try:
        series = await deployment.prometheus.query(f"count by ({LABEL}) ({promql})", now)
        past = ever_there(promql, LOOK_BACK, STEP)
        ever = bool(series) or bool(await deployment.prometheus.query(past, now))
    except QueryRejected as error:
        says = f"Prometheus refuses the expression of {name}: {error}"
        return [failed(says, f"Correct promql of {option}; Prometheus' own page runs it, too.")]
    if not ever:
        says = f"the expression of {name} had no series in the last day"
        return [_nothing(deployment, name, says, f"Run it in Prometheus, and correct {option}.")]
    by_user = {one.labels.get(LABEL, ""): int(one.last) for one in series}
    return list(_by_user(name, by_user, people, f"In promql of {option}: {BY_USERNAME}"))


def _by_user(
    name: str, series: Mapping[str, int], people: frozenset[str], cure: str
) -> Iterator[Finding]:
    total, nobodys = sum(series.values()), series.get("", 0)
    if nobodys:
        says = (
            f"{nobodys:,} of {counted(total, 'series', 'series')} of {name} have no label {LABEL}"
        )
        yield failed(f"{says}, so they count for nobody", cure)
    users = sorted(set(series) - {""})
    if users and people and not people & set(users):
        says = f"no user of the Hub is called as the expression of {name} says: {listed(users)}"
        yield failed(
            says, f"The label {LABEL} must be the name that the Hub has for a user. {cure}"
        )
    elif not nobodys:
        yield ok(f"the expression of {name} has {counted(len(users), 'user')} now")


async def _gauge(
    deployment: Deployment, gauge: GaugeSource, people: frozenset[str]
) -> list[Finding]:
    stale_after = timedelta(seconds=deployment.manager.stale_after)
    values = await gauge.read(deployment.prometheus, deployment.clock(), stale_after)
    if not values:
        cure = f"Scrape the exporter of {gauge.name}."
        return [_nothing(deployment, gauge.resource, gauge.missing, cure)]
    owned = sum(_has(gauge, one, values) for one in people)
    says = f"{counted(len(values), 'key')} ({gauge.keys}) of {gauge.name}"
    if people and not owned:
        hint = f"Check {gauge.hint}." if gauge.hint else "Compare both."
        return [failed(f"{says}, and no user has one: {listed(sorted(values))}", hint)]
    return [ok(f"{says}; {owned} of {counted(len(people), 'user')} have one")]


def _has(gauge: GaugeSource, user: str, values: Mapping[str, GaugeValue]) -> bool:
    try:
        return gauge.key_of(user) in values
    except UnicodeError:
        return False


def _nothing(deployment: Deployment, resource: str, says: str, cure: str) -> Finding:
    """How bad it is that nothing is there depends on whether policies are on it."""
    if resource not in deployment.manager.policies.all_measured:
        return warning(f"{says}; no policy limits it", cure)
    then = f"Policies on {resource} leave launches to failover until then. {cure}"
    return failed(f"{says}, and a policy limits it", then)
