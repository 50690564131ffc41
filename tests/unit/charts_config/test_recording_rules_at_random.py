"""The recording rules with clusters that nobody thought of: what they record is what the pods
ran, and no series whatsoever makes them fail, which would cost every user that minute.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas import conventions
from tests.support.examples import FEW
from tests.support.rules import EXPORTED, EXPORTED_POD, RULES, promtool, written

INSTANCES = ("ksm-0", "ksm-1", "ksm-2")
KINDS = {
    "memory": "memory",
    "cpu": "cpu",
    "nvidia_com_gpu": "gpu",
    "nvidia_com_mig_1g_5gb": "gpu",
    "amd_com_gpu": "gpu",
    "gpu_intel_com_i915": "gpu",
    "gpu_intel_com_memory_max": "",
    "nvidia_com_gpu_shared": "gpu",
    "amd_com_cpx_nps4": "gpu",
    "ephemeral_storage": "",
    "gpu": "",
}
"""What the values of the label `resource` count as."""
ANNOTATIONS = ("username", "servername", "profile", "profile_name")

texts = st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), max_size=5)
names = st.one_of(st.sampled_from(["al", "alice", "a\nb", 'a"b\\', "$1", ""]), texts)
few = st.sampled_from(["0", "1"])


@dataclass(frozen=True)
class Export:
    """What one instance of kube-state-metrics says of a pod."""

    instance: str
    given: frozenset[str]
    running: bool
    requests: Mapping[tuple[str, str, str], int]
    """By container, node and resource."""


@dataclass(frozen=True)
class Pod:
    """A pod, and who exports what of it."""

    identity: tuple[str, str, str]
    annotations: Mapping[str, str]
    exports: tuple[Export, ...]


requests = st.dictionaries(
    st.tuples(st.sampled_from(["notebook", "sidecar"]), few, st.sampled_from(list(KINDS))),
    st.integers(0, 8),
    max_size=6,
)
exports = st.builds(
    Export,
    st.sampled_from(INSTANCES),
    st.frozensets(st.sampled_from(ANNOTATIONS)),
    st.booleans(),
    requests,
)
pods = st.builds(
    Pod,
    st.tuples(st.sampled_from(["hub", "staging"]), few, few),
    st.fixed_dictionaries(dict.fromkeys(ANNOTATIONS, names)),
    st.lists(exports, min_size=1, max_size=3, unique_by=lambda one: one.instance).map(tuple),
)
clusters = st.lists(pods, min_size=1, max_size=5, unique_by=lambda pod: pod.identity)


def selector(metric: str, labels: Mapping[str, str]) -> str:
    # JSON's escapes are Go's.
    return metric + "{" + ",".join(f"{key}={json.dumps(labels[key])}" for key in labels) + "}"


def series_of(pod: Pod, prefix: str = "") -> Iterator[tuple[str, int]]:
    """The series of a pod; `prefix` is what Prometheus put before labels that it renamed."""
    namespace, name, uid = pod.identity
    for export in pod.exports:
        instance = {"instance": export.instance}
        if prefix:
            instance |= {"namespace": "monitoring", "pod": export.instance, "container": "ksm"}
        labels = instance | {f"{prefix}namespace": namespace, f"{prefix}pod": name, "uid": uid}
        given = {f"annotation_hub_jupyter_org_{key}": pod.annotations[key] for key in export.given}
        yield selector(conventions.KSM_ANNOTATIONS, labels | given), 1
        for phase, value in (("Running", export.running), ("Pending", not export.running)):
            yield selector(conventions.KSM_PHASE, labels | {"phase": phase}), int(value)
        for (container, node, resource), amount in export.requests.items():
            more = {f"{prefix}container": container, "node": node, "resource": resource}
            yield selector(conventions.KSM_REQUESTS, labels | more), amount


def truth(cluster: list[Pod]) -> dict[str, int]:
    """What is to be recorded, by series."""
    recorded: defaultdict[str, int] = defaultdict(int)
    for pod in cluster:
        seen = {key for export in pod.exports for key in export.given}
        server = {key: pod.annotations[key] for key in ANNOTATIONS if key in seen}
        if not server.get("username") or not any(export.running for export in pod.exports):
            continue
        most: dict[tuple[str, str], int] = {}
        for export in pod.exports:
            for (container, _, resource), amount in export.requests.items():
                key = (container, resource)
                most[key] = max(most.get(key, 0), amount)
        amounts = defaultdict(int, {"time": 1})
        for (_, resource), amount in most.items():
            if KINDS[resource] and amount:
                amounts[KINDS[resource]] += amount
        labels = {"namespace": pod.identity[0], "gpu": "true" if "gpu" in amounts else "false"}
        labels |= {key: value for key, value in server.items() if value}
        for resource, amount in amounts.items():
            series = dict(sorted((labels | {"resource": resource}).items()))
            recorded[selector(conventions.RECORDED_REQUESTS, series)] += amount
    return recorded


def told(cluster: list[Pod]) -> set[str]:
    """The namespaces of which it is known whose pods are: not those with servers of nobody only."""
    by_namespace: defaultdict[str, list[Pod]] = defaultdict(list)
    for pod in cluster:
        by_namespace[pod.identity[0]].append(pod)

    def has_servers(pods: list[Pod]) -> bool:
        exports = (export for pod in pods for export in pod.exports)
        return any(container == "notebook" for one in exports for container, *_ in one.requests)

    def has_users(pods: list[Pod]) -> bool:
        return any(
            pod.annotations["username"] and any("username" in one.given for one in pod.exports)
            for pod in pods
        )

    return {name for name, pods in by_namespace.items() if has_users(pods) or not has_servers(pods)}


def evaluated(
    directory: Path, rules: Path, series: Iterable[tuple[str, int]], expected: Mapping[str, object]
) -> None:
    """Let promtool evaluate the rules over these series: none of them fails, and they record what
    is expected, by expression.
    """
    queries = [
        {"expr": expr, "eval_time": "1m", "exp_samples": samples}
        for expr, samples in expected.items()
    ]
    case = {
        "interval": "1m",
        "input_series": [{"series": one, "values": f"{value}x1"} for one, value in series],
        "promql_expr_test": queries,
    }
    document = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [case]}
    done = promtool("test", "rules", written(directory / "case.yaml", document))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("rules", "prefix"), [(RULES, ""), (EXPORTED, "exported_")], ids=["as they are", "renamed"]
)
@given(cluster=clusters)
@FEW
def test_what_is_recorded_is_what_the_pods_ran(rules, prefix, tmp_path, cluster):
    series = ((one, value) for pod in cluster for one, value in series_of(pod, prefix))
    expected = {
        conventions.RECORDED_REQUESTS: [
            {"labels": labels, "value": value} for labels, value in truth(cluster).items()
        ],
        conventions.RECORDED_SEEN: [
            {"labels": selector(conventions.RECORDED_SEEN, {"namespace": namespace}), "value": 1}
            for namespace in told(cluster)
        ],
    }
    evaluated(tmp_path, rules, series, expected)


IDENTITIES = (
    {"namespace": "0", "pod": "0", "uid": "0"},
    {"exported_namespace": "0", "exported_pod": "0", "uid": "0"},
    {"exported_namespace": "0", "namespace": "0", "pod": "0", "uid": "0"},
    {"exported_pod": "0", "namespace": "0", "pod": "1", "uid": "0"},
    {"namespace": "0", "pod": "1"},
)


def exported_as(metric: str, labels: st.SearchStrategy[dict[str, str]]) -> st.SearchStrategy[str]:
    """A series of a metric with any labels, of one of a few pods, some of them badly exported."""
    pod = st.tuples(st.sampled_from(IDENTITIES), st.sampled_from(INSTANCES))
    return st.tuples(pod, labels).map(
        lambda both: selector(metric, both[0][0] | {"instance": both[0][1]} | both[1])
    )


some = st.sampled_from(["0", "1", "\n"])
anything = st.dictionaries(
    st.one_of(
        exported_as(
            conventions.KSM_ANNOTATIONS,
            st.dictionaries(
                st.sampled_from(
                    [*("annotation_hub_jupyter_org_" + key for key in ANNOTATIONS), *ANNOTATIONS]
                ),
                some,
            ),
        ),
        exported_as(
            conventions.KSM_REQUESTS,
            st.fixed_dictionaries(
                {"resource": st.sampled_from(["memory", "cpu", "nvidia_com_gpu", "amd_com_gpu"])},
                optional=dict.fromkeys(
                    ["container", "exported_container", "node", "gpu", "username"], some
                ),
            ),
        ),
        exported_as(
            conventions.KSM_PHASE,
            st.fixed_dictionaries({"phase": st.just("Running")}, optional={"gpu": some}),
        ),
    ),
    st.integers(0, 2),
    min_size=3,
    max_size=25,
)


@pytest.mark.parametrize(
    "rules", [RULES, EXPORTED, EXPORTED_POD], ids=["as they are", "renamed", "pod renamed"]
)
@given(series=anything)
@FEW
def test_no_series_makes_a_rule_fail(rules, tmp_path, series):
    evaluated(tmp_path, rules, series.items(), {"up": []})
