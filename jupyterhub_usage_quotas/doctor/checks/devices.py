"""The check of the devices that servers request, and of what they count as."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from ... import conventions as names
from ...config.pods import NAME
from ...config.usage import HUB
from ...metering.client.pod_queries import LABELS
from ...metering.client.promql import duration, select
from ..deployment import Deployment
from ..findings import Finding, listed, ok, skipped, warning

LOOK_BACK = timedelta(days=1)
NO_DEVICES = re.compile(r"[a-z]+|ephemeral_storage|(hugepages|attachable_volumes)_.*")
"""The resources of Kubernetes itself, as kube-state-metrics writes them: those of devices have the
domain of a vendor in front.
"""
NOT_COUNTED = (
    "An amount of memory or a share of a device does not count, and need not. If one of them is a"
    " device, add it to c.UsageConfig.gpu_resources, or limit it as a resource of its own"
    " (c.UsageConfig.resources)."
)
MOST_DEVICES = 64
"""Of one kind in one container; more are hardly devices."""
AN_AMOUNT = re.compile(r"(mem|memory|memory_max|millicores|cores?|percent|percentage)$")
"""How the names of resources end that are an amount of a device's memory, or a share of it."""
IS_AN_AMOUNT = (
    "An amount of memory or a share of a device counts as so many devices. Name in"
    " c.UsageConfig.gpu_resources the devices alone, for example 'nvidia.com/gpu' in place of"
    " 'nvidia.com/*'."
)


async def devices(deployment: Deployment) -> list[Finding]:
    """Which devices servers requested, and what they count as."""
    resources = deployment.manager.policies.resources
    if deployment.manager.usage_source == HUB:
        says = "the Hub exports how many GPUs its servers request, and not by which name"
        return [skipped(says)]
    requested = await _requested(deployment)
    # Which pods are servers' is in their names only, which the query cannot read.
    whose = "pods" if deployment.manager.identify_pods_by == NAME else "servers"
    if not requested:
        return [ok(f"no {whose.removesuffix('s')} requested a device in the last day")]
    by_kind: dict[str, list[str]] = {}
    for name in requested:
        kind = next((one.display_name for one in resources.values() if one.is_called(name)), "")
        by_kind.setdefault(kind, []).append(name)
    others = by_kind.pop("", [])
    findings = []
    for kind, those in by_kind.items():
        amounts = [one for one in those if _is_an_amount(one, requested[one])]
        if real := [one for one in those if one not in amounts]:
            findings.append(ok(f"{whose} requested {listed(real)}, counted as {kind}"))
        findings += [
            warning(
                f'{whose} requested {requested[one]:,g} of "{one}", counted as {kind}', IS_AN_AMOUNT
            )
            for one in amounts
        ]
    if others:
        says = f"{whose} requested {listed(others)}, counted as nothing"
        findings.append(warning(says, NOT_COUNTED))
    return findings


def _is_an_amount(name: str, requested: float) -> bool:
    return requested > MOST_DEVICES or bool(AN_AMOUNT.search(name.lower()))


async def _requested(deployment: Deployment) -> Mapping[str, float]:
    """The resources of devices that pods with a username requested, as kube-state-metrics writes
    them, and the most that one container did. Where usernames are in the names of pods alone, those
    that any pod requested.
    """
    namespaces = getattr(deployment.source, "namespaces", ())
    found: dict[str, float] = {}
    over = duration(LOOK_BACK)
    for labels in LABELS.values():
        where = labels.where(namespaces)
        query = f"max_over_time({select(names.KSM_REQUESTS, *where)}[{over}])"
        if deployment.manager.identify_pods_by != NAME:
            whose = f'{names.KSM_USERNAME_LABEL}!=""'
            users = f"present_over_time({select(names.KSM_ANNOTATIONS, *where, whose)}[{over}])"
            query = f"{query} and on ({labels.identity}) {users}"
        series = await deployment.prometheus.query(
            f"max by (resource) ({query})", deployment.clock()
        )
        for one in series:
            name = one.labels.get("resource", "")
            if name and not NO_DEVICES.fullmatch(name):
                found[name] = max(found.get(name, 0.0), one.last)
    return dict(sorted(found.items()))
