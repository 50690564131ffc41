"""The checks, in their order, and how they are run: each for itself, whatever the others find."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from ..errors import PodOwnersUnknown, PrometheusError
from . import audit, devices, homes, network, people, pods, prometheus, resources, servers, source
from . import jupyterhub as hub
from .deployment import Deployment
from .findings import Finding, Status, failed, skipped


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is checked, if none of those that it `needs` failed.

    The output and docs/how-to/troubleshooting.md name it `name`: an interface.
    """

    name: str
    look: Callable[[Deployment], Awaitable[Sequence[Finding]]]
    needs: tuple[str, ...] = ()


CONFIGURATION = "configuration"
_REACHED = ("prometheus",)
_SCRAPED = ("prometheus", "source")

CHECKS: Sequence[Check] = (
    Check(CONFIGURATION, hub.configuration),
    Check("distribution", hub.distribution),
    Check("enforced", hub.enforced),
    Check("denials", hub.denials),
    Check("prometheus", prometheus.answers),
    Check("clock", prometheus.clock, _REACHED),
    Check("source", source.source, _REACHED),
    Check("usernames", source.usernames, _SCRAPED),
    Check("users", people.users, (*_SCRAPED, "usernames")),
    Check("duplicates", source.duplicates, _SCRAPED),
    Check("clusters", pods.one_cluster, _SCRAPED),
    Check("stuck-pods", pods.stuck_pods, _SCRAPED),
    Check("retention", prometheus.retention, _REACHED),
    Check("scrape-interval", prometheus.scrape_interval, (*_SCRAPED, "usernames")),
    Check("history", prometheus.history, (*_SCRAPED, "usernames")),
    Check("groups", people.groups),
    Check("named-users", people.named_users),
    Check("profiles", servers.profiles),
    Check("devices", devices.devices, (*_SCRAPED, "usernames")),
    Check("home-storage", homes.home_storage, _REACHED),
    Check("resources", resources.resources, _REACHED),
    Check("ledger", hub.ledger),
    Check("audit-log", audit.audit_log),
    Check("service", hub.service),
    Check("network", network.network, ("service",)),
    Check("hub-metrics", source.hub_metrics, _REACHED),
)


async def examine(
    deployment: Deployment, checks: Sequence[Check] = CHECKS
) -> AsyncIterator[tuple[str, Finding]]:
    """What each check found, with its name, as soon as it is known. Never raises."""
    without_answer: set[str] = set()
    for check in checks:
        missing = [name for name in check.needs if name in without_answer]
        found: Sequence[Finding]
        if missing:
            found = [skipped(f"not checked, because of {missing[0]}")]
        else:
            found = await _look(check, deployment)
        if missing or any(one.status is Status.FAILED for one in found):
            without_answer.add(check.name)
        for finding in found:
            yield check.name, finding


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
        return [failed(f"this check failed: {type(error).__name__}: {error}", cure)]
