"""Which pod reaches which, by the network policies among objects of Kubernetes.

Written from Kubernetes' documentation of NetworkPolicy: a pod that a policy selects may only do
what a rule of one of its policies allows; a connection needs the rules of both its ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from tests.support.helm import the

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """What policies know of a pod."""

    labels: Mapping[str, str]
    namespace: str = "jhub"
    address: str = "10.0.3.7"
    ports: Mapping[str, int] = field(default_factory=dict)
    """Its named ports."""


def pod_of(documents: Sequence[Any], name: str, namespace: str = "jhub") -> Pod:
    """The pod of a Deployment."""
    template = the(documents, "Deployment", name)["spec"]["template"]
    ports = [port for one in template["spec"]["containers"] for port in one.get("ports", [])]
    named = {port["name"]: port["containerPort"] for port in ports if "name" in port}
    return Pod(template["metadata"]["labels"], namespace, ports=named)


def reaches(documents: Sequence[Any], source: Pod, target: Pod, port: int) -> bool:
    """Whether the policies of the namespace `jhub` let a pod connect to another's port."""
    policies = [one["spec"] for one in documents if one["kind"] == "NetworkPolicy"]
    return _may(policies, "egress", source, target, target, port) and _may(
        policies, "ingress", target, source, target, port
    )


def _may(
    policies: Sequence[Object], way: str, selected: Pod, other: Pod, target: Pod, port: int
) -> bool:
    peers = {"egress": "to", "ingress": "from"}[way]
    mine = [
        one
        for one in policies
        if way.capitalize() in one["policyTypes"]
        and selected.namespace == "jhub"
        and _selects(one["podSelector"], selected.labels)
    ]
    rules = [rule for one in mine for rule in one.get(way) or []]
    return not mine or any(
        _port(rule.get("ports"), target, port) and _peer(rule.get(peers), other) for rule in rules
    )


def _port(allowed: Sequence[Object] | None, target: Pod, port: int) -> bool:
    """No list of ports allows all of them."""
    return not allowed or port in _numbers(allowed, target)


def _numbers(allowed: Sequence[Object], target: Pod) -> Iterator[int | None]:
    for one in allowed:
        if one.get("protocol", "TCP") == "TCP":
            number = one["port"]
            yield target.ports.get(number) if isinstance(number, str) else number


def _peer(allowed: Sequence[Object] | None, other: Pod) -> bool:
    """No list of peers allows all of them."""
    return not allowed or any(_is(one, other) for one in allowed)


def _is(peer: Object, other: Pod) -> bool:
    if "ipBlock" in peer:
        address = ip_address(other.address)
        block = peer["ipBlock"]
        return address in ip_network(block["cidr"]) and not any(
            address in ip_network(one) for one in block.get("except", [])
        )
    names = {"kubernetes.io/metadata.name": other.namespace}
    here = {"matchLabels": {"kubernetes.io/metadata.name": "jhub"}}
    there = _selects(peer.get("namespaceSelector", here), names)
    return there and _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: Object, labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, f"{selector} is understood here"
    return (selector.get("matchLabels") or {}).items() <= labels.items()
