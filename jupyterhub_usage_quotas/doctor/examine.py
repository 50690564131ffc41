"""The checks, in their order, and how they are run: each for itself, whatever the others find."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from ..errors import PodOwnersUnknown, PrometheusError
from ..quotas.messages import said_by
from .checks import (
    audit,
    costs,
    devices,
    homes,
    network,
    people,
    pods,
    prometheus,
    resources,
    servers,
    sessions,
    source,
)
from .checks import jupyterhub as hub
from .deployment import Deployment
from .findings import Finding, Status, failed, skipped


class About(enum.Enum):
    """What a check is about, which there may not be: then it is skipped."""

    ANYTHING = ""
    PROMETHEUS = "no Prometheus is configured, and none is needed"
    SOURCE = "usage comes from the session log, and not from Prometheus"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is checked, if none of those that it `needs` failed.

    The output and docs/how-to/troubleshooting.md name it `name`: an interface.
    """

    name: str
    look: Callable[[Deployment], Awaitable[Sequence[Finding]]]
    needs: tuple[str, ...] = ()
    about: About = About.ANYTHING


CONFIGURATION = "configuration"
_REACHED = ("prometheus",)
_SCRAPED = ("prometheus", "source")

CHECKS: Sequence[Check] = (
    Check(CONFIGURATION, hub.configuration),
    Check("distribution", hub.distribution),
    Check("enforced", hub.enforced),
    Check("denials", hub.denials),
    Check("prometheus", prometheus.answers, about=About.PROMETHEUS),
    Check("clock", prometheus.clock, _REACHED, about=About.PROMETHEUS),
    Check("source", source.source, _REACHED, about=About.SOURCE),
    Check("usernames", source.usernames, _SCRAPED, about=About.SOURCE),
    Check("users", people.users, (*_SCRAPED, "usernames"), about=About.SOURCE),
    Check("duplicates", source.duplicates, _SCRAPED, about=About.SOURCE),
    Check("clusters", pods.one_cluster, _SCRAPED, about=About.SOURCE),
    Check("stuck-pods", pods.stuck_pods, _SCRAPED, about=About.SOURCE),
    Check("retention", prometheus.retention, _REACHED, about=About.SOURCE),
    Check(
        "scrape-interval", prometheus.scrape_interval, (*_SCRAPED, "usernames"), about=About.SOURCE
    ),
    Check("history", prometheus.history, (*_SCRAPED, "usernames"), about=About.SOURCE),
    Check("groups", people.groups),
    Check("named-users", people.named_users),
    Check("profiles", servers.profiles),
    Check("devices", devices.devices, (*_SCRAPED, "usernames"), about=About.SOURCE),
    Check("home-storage", homes.home_storage, _REACHED, about=About.PROMETHEUS),
    Check("resources", resources.resources, _REACHED, about=About.PROMETHEUS),
    Check("ledger", hub.ledger),
    Check("session-log", sessions.session_log),
    Check("audit-log", audit.audit_log),
    Check("costs", costs.costs),
    Check("service", hub.service),
    Check("network", network.network, ("service",)),
    Check("hub-metrics", source.hub_metrics, _REACHED, about=About.PROMETHEUS),
)


async def examine(
    deployment: Deployment, checks: Sequence[Check] = CHECKS
) -> AsyncIterator[tuple[str, Finding]]:
    """What each check found, with its name, as soon as it is known. Never raises."""
    without_answer: set[str] = set()
    for check in checks:
        missing = [name for name in check.needs if name in without_answer]
        found: Sequence[Finding]
        absent = _absent(check.about, deployment)
        if absent:
            found = [skipped(absent)]
        elif missing:
            found = [skipped(f"not checked, because of {missing[0]}")]
        else:
            found = await _look(check, deployment)
        if missing or any(one.status is Status.FAILED for one in found):
            without_answer.add(check.name)
        for finding in found:
            yield check.name, finding


def _absent(about: About, deployment: Deployment) -> str:
    """Why what a check is about is not there; empty where it is."""
    if about is not About.ANYTHING and not deployment.manager.has_prometheus:
        return About.PROMETHEUS.value
    if about is About.SOURCE and deployment.manager.counts_sessions:
        return About.SOURCE.value
    return ""


async def _look(check: Check, deployment: Deployment) -> Sequence[Finding]:
    try:
        return await check.look(deployment)
    except PrometheusError as error:
        cure = prometheus.CURES_OF_QUERIES.get(type(error), prometheus.SLOW)
        return [failed(f"Prometheus gave no answer that can be used: {error}", cure)]
    except PodOwnersUnknown as error:
        return [failed(f"usage cannot be read: {error}", "Run this where the Hub runs.")]
    except Exception as error:
        # One check that cannot cope with a set-up must not hide what the others find.
        cure = "This is a bug of jupyterhub-usage-quotas: please report it, with this line."
        return [failed(f"this check failed: {said_by(error)}", cure)]
