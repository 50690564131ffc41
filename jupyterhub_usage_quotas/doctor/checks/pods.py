"""Checks of users' pods: are they of one cluster, and do they end?"""

from __future__ import annotations

from collections.abc import Sequence

from ...metering.pod_series import clusters, stuck
from ...metering.sources.kube_state_metrics import KubeStateMetrics
from ..deployment import Deployment
from ..findings import Finding, counted, listed, ok, skipped, warning


async def one_cluster(deployment: Deployment) -> list[Finding]:
    """Whether what is counted is of one cluster."""
    namespaces = _namespaces(deployment)
    if namespaces is None:
        return [_no_pods(deployment)]
    found = await clusters(deployment.prometheus, namespaces, deployment.clock())
    if not found:
        return [ok("pods of Hubs are of one cluster")]
    labels = "; ".join(f"{label}: {listed(list(values))}" for label, values in found.items())
    return [
        warning(
            "several Hubs run at once in namespaces of one name, and their series differ in"
            f" {labels}. If these are clusters in one store, users of the same name share their"
            " usage",
            "Give each Hub a view of its own cluster: a tenant, or a proxy that enforces the label;"
            " see docs/how-to/several-clusters.md.",
        )
    ]


async def stuck_pods(deployment: Deployment) -> list[Finding]:
    """Whether pods stay after they were deleted."""
    namespaces = _namespaces(deployment)
    if namespaces is None:
        return [_no_pods(deployment)]
    pods = await stuck(deployment.prometheus, namespaces, deployment.clock())
    if not pods:
        return [ok("no pod of a user is left behind by its node")]
    return [
        warning(
            f"{counted(len(pods), 'pod')} of users should be deleted and still"
            f" {'has' if len(pods) == 1 else 'have'} the phase Running: {listed(list(pods))}",
            "Usually the node is gone: delete the Node object, or the pods with kubectl delete pod"
            " --force. They count up to their deletion timestamp, and no longer.",
        )
    ]


def _namespaces(deployment: Deployment) -> Sequence[str] | None:
    """The namespaces of pods, as patterns; None where the source does not report pods."""
    looked_for = deployment.source
    return looked_for.namespaces if isinstance(looked_for, KubeStateMetrics) else None


def _no_pods(deployment: Deployment) -> Finding:
    return skipped(f"{deployment.source.name} does not report pods")
