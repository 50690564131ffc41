"""What the API server refuses, and what it fills in."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from .store import Object, Refused

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?")
QUANTITY = re.compile(r"([+-]?[0-9.]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i|)")
SUFFIXES = {
    "": Decimal(1),
    **{letter: Decimal(1000) ** -power for power, letter in enumerate("mun", 1)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
}
LONGEST_LABEL = 63
NATIVE = {"cpu", "memory", "ephemeral-storage", "storage"}


def quantity(text: Any) -> Decimal:
    """A quantity, for example "500m", "1G", "1Gi", "1e3". `Refused` when it is none."""
    found = QUANTITY.fullmatch(str(text))
    if found is None or not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)", found[1]):
        pattern = "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        raise Refused(400, "BadRequest", f"quantities must match the regular expression {pattern}")
    number, suffix = Decimal(found[1]), found[2]
    return number * (SUFFIXES[suffix] if suffix in SUFFIXES else Decimal(f"1{suffix}"))


def admit(plural: str, given: Object) -> Object:
    """The object that is stored for a given one; `Refused` (422) with all that is wrong with it."""
    metadata = given.setdefault("metadata", {})
    if "name" not in metadata and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"] + secrets.token_hex(3)[:5]
    faults = list(_faults_of_metadata(plural, metadata))
    if plural == "pods":
        _fill_in_pod(given)
        faults += _faults_of_pod(given["spec"])
    if plural == "persistentvolumeclaims":
        given["status"] = {"phase": "Bound"}
    if plural == "namespaces":
        given["status"] = {"phase": "Active"}
    if faults:
        name = metadata.get("name", "")
        message = f'{plural} "{name}" is invalid: {"; ".join(faults)}'
        raise Refused(422, "Invalid", message, {"name": name, "kind": plural})
    return given


def _faults_of_metadata(plural: str, metadata: Object) -> Iterator[str]:
    name = metadata.get("name") or ""
    labels_only = plural in ("namespaces", "services")
    pattern, longest = (DNS_LABEL, LONGEST_LABEL) if labels_only else (DNS_SUBDOMAIN, 253)
    if not pattern.fullmatch(name) or len(name) > longest:
        yield f"metadata.name: Invalid value: {name!r}"
    for key, value in (metadata.get("labels") or {}).items():
        if not KEY.fullmatch(key) or not LABEL_VALUE.fullmatch(value):
            yield f"metadata.labels: Invalid value: {key}={value!r}"
    for key, value in (metadata.get("annotations") or {}).items():
        if not KEY.fullmatch(key) or not isinstance(value, str):
            yield f"metadata.annotations: Invalid value: {key}={value!r}"


def _fill_in_pod(pod: Object) -> None:
    spec = pod.setdefault("spec", {})
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    for container in containers(spec):
        resources = container.setdefault("resources", {})
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        # A limit without a request is the request, too.
        resources["requests"] = limits | requests
    pod["status"] = {"phase": "Pending", "conditions": []}


def _faults_of_pod(spec: Object) -> Iterator[str]:
    if not spec.get("containers"):
        yield "spec.containers: Required value"
    for container in containers(spec):
        name = container.get("name") or ""
        where = f"spec.containers[{name}]"
        if not DNS_LABEL.fullmatch(name) or len(name) > LONGEST_LABEL:
            yield f"{where}.name: Invalid value: {name!r}"
        resources = container["resources"]
        limits = {key: quantity(value) for key, value in (resources.get("limits") or {}).items()}
        for resource, value in resources["requests"].items():
            requested = quantity(value)
            if requested < 0 or requested > limits.get(resource, requested):
                yield f"{where}.resources.requests: Invalid value: {value!r}: {resource}"
            extended = resource not in NATIVE and not resource.startswith("hugepages-")
            if extended and "/" not in resource:
                yield f"{where}.resources.requests: must be a standard resource: {resource}"
            elif extended and limits.get(resource) != requested:
                yield f"{where}.resources.limits: must be set to the request: {resource}"


def containers(spec: Object) -> list[Object]:
    """All containers of a pod, those that run first among them."""
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
