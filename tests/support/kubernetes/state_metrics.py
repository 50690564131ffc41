"""What kube-state-metrics 2 exports of pods, in its own format.

https://github.com/kubernetes/kube-state-metrics/tree/main/docs/metrics/workload/pod-metrics.md
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from .admission import quantity
from .store import Object

Labels = Mapping[str, str]
Samples = Iterator[tuple[Labels, float]]

PHASES = ("Pending", "Succeeded", "Failed", "Unknown", "Running")
BYTES = ("memory", "storage", "ephemeral-storage")


def exposition(pods: Iterable[Object], allowed: Iterable[str]) -> str:
    """The page that is scraped. `allowed` are the annotations that are exported, or "*"."""
    pods, keys = list(pods), list(allowed)
    families = {
        "kube_pod_info": _info,
        "kube_pod_created": _created,
        "kube_pod_deletion_timestamp": _deleted,
        "kube_pod_status_phase": _phases,
        "kube_pod_container_resource_requests": lambda pod: _resources(pod, "containers"),
        "kube_pod_container_resource_limits": lambda pod: _resources(pod, "containers", "limits"),
        "kube_pod_init_container_resource_requests": lambda pod: _resources(pod, "initContainers"),
        "kube_pod_init_container_info": _init_containers,
        "kube_pod_container_status_restarts_total": _restarts,
    }
    if keys:
        # Without an allow-list there is no such metric at all.
        families["kube_pod_annotations"] = lambda pod: _annotations(pod, keys)
    lines = []
    for name, samples in families.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += [f"# HELP {name} As kube-state-metrics says it.", f"# TYPE {name} {kind}"]
        for pod in pods:
            metadata = pod["metadata"]
            own = {"namespace": metadata["namespace"], "pod": metadata["name"]}
            own["uid"] = metadata["uid"]
            for labels, value in samples(pod):
                shown = ",".join(
                    f'{key}="{_escaped(text)}"' for key, text in (own | labels).items()
                )
                lines.append(f"{name}{{{shown}}} {go_float(value)}")
    return "\n".join(lines) + "\n"


def _info(pod: Object) -> Samples:
    status, spec = pod["status"], pod["spec"]
    labels = {"host_ip": status.get("hostIP", ""), "pod_ip": status.get("podIP", "")}
    yield labels | {"node": spec.get("nodeName", ""), "created_by_kind": ""}, 1


def _created(pod: Object) -> Samples:
    yield {}, _unix(pod["metadata"]["creationTimestamp"])


def _deleted(pod: Object) -> Samples:
    if "deletionTimestamp" in pod["metadata"]:
        yield {}, _unix(pod["metadata"]["deletionTimestamp"])


def _phases(pod: Object) -> Samples:
    for phase in PHASES:
        yield {"phase": phase}, float(pod["status"]["phase"] == phase)


def _restarts(pod: Object) -> Samples:
    for status in pod["status"].get("containerStatuses", ()):
        yield {"container": status["name"]}, float(status["restartCount"])


def _init_containers(pod: Object) -> Samples:
    for container in pod["spec"].get("initContainers") or ():
        policy = (
            {"restart_policy": container["restartPolicy"]} if "restartPolicy" in container else {}
        )
        yield {"container": container["name"], "image_spec": container.get("image", "")} | policy, 1


def _resources(pod: Object, kind: str, of: str = "requests") -> Samples:
    node = pod["spec"].get("nodeName", "")
    for container in pod["spec"].get(kind) or ():
        for resource, text in ((container.get("resources") or {}).get(of) or {}).items():
            unit, value = _measured(resource, quantity(text))
            labels = {"container": container["name"], "node": node}
            yield labels | {"resource": _sanitized(resource), "unit": unit}, value


def _measured(resource: str, amount: Decimal) -> tuple[str, float]:
    if resource == "cpu":
        # In whole thousandths, rounded up.
        return "core", float(-(-amount * 1000 // 1)) / 1000
    in_bytes = resource in BYTES or resource.startswith(("hugepages-", "attachable-volumes-"))
    return "byte" if in_bytes else "integer", float(-(-amount // 1))


def _annotations(pod: Object, allowed: list[str]) -> Samples:
    given = pod["metadata"].get("annotations") or {}
    chosen = {key: given[key] for key in sorted(given) if "*" in allowed or key in allowed}
    called = [f"annotation_{_snake(_sanitized(key))}" for key in chosen]
    labels: dict[str, str] = {}
    for index, (name, value) in enumerate(zip(called, chosen.values(), strict=True)):
        # Two keys that would be the same label are numbered.
        number = called[: index + 1].count(name)
        labels[f"{name}_conflict{number}" if called.count(name) > 1 else name] = value
    yield labels, 1


def _sanitized(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", text)


def _snake(text: str) -> str:
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text).lower()


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def go_float(value: float) -> str:
    """A number as Go writes it: 1073741824 is 1.073741824e+09."""
    number = Decimal(repr(value)).normalize()
    if not number or -4 <= number.adjusted() < 6:
        return f"{number:f}"
    mantissa = number.scaleb(-number.adjusted())
    sign = "-" if number.adjusted() < 0 else "+"
    return f"{mantissa:f}e{sign}{abs(number.adjusted()):02d}"


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
