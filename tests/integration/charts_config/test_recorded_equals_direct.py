"""What Prometheus records is what kube-state-metrics says, sample for sample: rules evaluated by a
real Prometheus over a history with many cases, against the queries that read it directly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from jupyterhub_usage_quotas import conventions
from jupyterhub_usage_quotas.metering.client import pod_queries
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.programs import Span, backfill, start_prometheus
from tests.support.recorded import NOW, instant
from tests.support.rules import EXPORTED, EXPORTED_POD, RULES, promtool

BEGIN = NOW - 6 * HOUR
START, END = NOW - 5 * HOUR, NOW - 4 * HOUR
DOWN = NOW - 3 * HOUR, NOW - 2 * HOUR
"""When nothing was scraped."""
MIDDLE = START + HOUR // 2
STEP = timedelta(minutes=1)
EVALUATED = "evaluated"
"""A series that is recorded beside the others, whatever there is."""

Key = tuple[tuple[str, str], ...]
"""Labels of a recorded series, in order, without its name."""


def pod(username: str, **options: object) -> Pod:
    settings = {"start": START, "end": END, "name": f"jupyter-{username}", "uid": username}
    return Pod(username, **(settings | options))


CASES: dict[str, list[Pod]] = {
    "one pod": [pod("one", cpu=2, gpus=3)],
    "two replicas": [pod("twice"), pod("twice", instance="ksm-1")],
    "rolled": [
        pod("rolled", end=END - 1800),
        pod("rolled", start=END - 2400, instance="ksm-1", extra={"helm_sh_chart": "2"}),
    ],
    "sharded": [
        pod("sharded", memory=GIB),
        pod("sharded", name="jupyter-s--x", uid="s2", server="x", instance="ksm-1"),
    ],
    "replicas of Prometheus": [
        pod("replica", extra={"replica": "a"}),
        pod("replica", extra={"replica": "b"}),
    ],
    "pending, then running, then completed": [
        pod("cycle", phase="Pending", end=START + 600),
        pod("cycle", start=START + 660, end=END - 660),
        pod("cycle", phase="Succeeded", start=END - 600),
    ],
    "pending": [pod("pending", phase="Pending")],
    "failed": [pod("failed", phase="Failed")],
    "several containers": [pod("sidecar", containers=("notebook", "sidecar"))],
    "two servers": [pod("both"), pod("both", uid="both-x", name="b--x", server="x", gpus=1)],
    "two pods of one server": [pod("pair"), pod("pair", uid="pair-2", name="dask-pair")],
    "one after the other": [
        pod("again", end=MIDDLE - 600),
        pod("again", uid="again-2", start=MIDDLE + 600, cpu=0.25),
    ],
    "a name used again": [
        pod("reused", end=MIDDLE - 600),
        pod("other", name="jupyter-reused", uid="other", start=MIDDLE - 300, gpus=1),
    ],
    "profiles": [
        pod("choosy", profile="small", profile_name="Small, “cheap”"),
        pod("choosy", uid="c2", name="c--2", server="2", profile="gpu", profile_name="{\\\n$1}"),
    ],
    "replicas with other annotations": [
        pod("torn", profile="small", server="x"),
        pod("torn", instance="ksm-1", profile_name="Small"),
    ],
    "hostile names": [
        pod(name, uid=f"h{number}", name=f"jupyter-h-{number}")
        for number, name in enumerate(
            ['a"b\\c', "line\nbreak", 'x{y="z"}', ".*", "$1", 'u",pod=~".*', "{{ $labels }}", "ü"]
        )
    ],
    "another Hub": [pod("twice", namespace="other-hub", uid="elsewhere", memory=4 * GIB)],
    "no annotations": [pod("nobody", annotated=False)],
    "requests nothing": [pod("modest", memory=0)],
    "runs while nothing is scraped": [
        pod("through", start=BEGIN, end=DOWN[0]),
        pod("through", start=DOWN[1], end=NOW),
    ],
}
PODS = {one.uid: one for pods in CASES.values() for one in pods}


def history() -> Iterator[Span]:
    for namespace in (NAMESPACE, "other-hub", "empty-hub"):
        yield from hub_pod(BEGIN, DOWN[0], namespace)
        yield from hub_pod(DOWN[1], NOW, namespace)
    for pods in CASES.values():
        for one in pods:
            yield from one.spans
    yield from more_requests(PODS["one"], ("nvidia_com_mig_1g_5gb", 2), ("ephemeral_storage", 9))
    # For some minutes there are a series without the node and one with it.
    yield from more_requests(PODS["one"], ("memory", GIB), node="", end=START + 600)


def more_requests(
    of: Pod, *amounts: tuple[str, float], node: str = "n1", end: int = END
) -> Iterator[Span]:
    requests = next(span for span in of.spans if span.metric == conventions.KSM_REQUESTS)
    for resource, amount in amounts:
        labels = {**requests.labels, "resource": resource, "node": node}
        yield replace(requests, labels=labels, value=float(amount), end=end)


def renamed(spans: Iterable[Span], *names: str) -> Iterator[Span]:
    """The same spans as scraped without `honor_labels`, by a target with these labels."""
    for span in spans:
        labels = {
            f"exported_{name}" if name in names else name: value
            for name, value in span.labels.items()
        }
        own = {"namespace": "monitoring", "pod": labels["instance"], "container": "ksm"}
        yield replace(span, labels=labels | {name: own[name] for name in names})


@dataclass(frozen=True)
class Kind:
    """One way of scraping, with the rules that are made for it."""

    rules: Path
    spans: Sequence[Span]
    labels: pod_queries.PodLabels


KINDS = {
    "honor_labels": Kind(RULES, [*history()], pod_queries.HONORED),
    "exported labels": Kind(
        EXPORTED,
        [*renamed(history(), "namespace", "pod", "container")],
        pod_queries.PodLabels("exported_namespace", "exported_pod"),
    ),
    "exported pod": Kind(
        EXPORTED_POD,
        [*renamed(history(), "pod", "container")],
        pod_queries.PodLabels(pod="exported_pod"),
    ),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def url(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with the history, and with what the rules recorded of it."""
    directory = tmp_path_factory.mktemp("prometheus")
    backfill(directory, kind.spans)
    before, url = start_prometheus(directory)
    with before:
        span = ("--start", str(BEGIN), "--end", str(NOW))
        blocks = ("--url", url, "--output-dir", directory / "data")
        rules = yaml.safe_load(kind.rules.read_text())
        rules["groups"][0]["rules"].append({"record": EVALUATED, "expr": "vector(1)"})
        file = directory / "rules.yaml"
        file.write_text(yaml.safe_dump(rules))
        done = promtool("tsdb", "create-blocks-from", "rules", *span, *blocks, file)
        assert done.returncode == 0, done.stderr
    after, url = start_prometheus(directory)
    with after:
        yield url


@pytest.fixture
async def prometheus(url: str) -> Iterator[PrometheusClient]:
    client = PrometheusClient(url, request_timeout=timedelta(seconds=60))
    yield client
    await client.aclose()


async def recorded(prometheus: PrometheusClient, metric: str) -> dict[Key, dict[float, float]]:
    """All samples that were recorded, with the instants at which they were."""
    found = await prometheus.query(f"{metric}[7h]", instant(NOW))
    return {
        tuple(sorted((key, one.labels[key]) for key in one.labels if key != "__name__")): dict(
            one.samples
        )
        for one in found
    }


async def evaluations(prometheus: PrometheusClient) -> list[float]:
    """The instants at which the rules were evaluated: a minute apart, at a second of their own that
    the path of their file decides. Where blocks meet promtool leaves one out if that is the last.
    """
    (samples,) = (await recorded(prometheus, EVALUATED)).values()
    return sorted(samples)


async def directly(
    prometheus: PrometheusClient, expression: str, at: Sequence[float]
) -> list[tuple[Mapping[str, str], dict[float, float]]]:
    """What an expression gives at the same instants: labels and samples."""
    start, end = (instant(edge) for edge in (at[0], at[-1]))
    evaluated = set(at)
    return [
        (one.labels, {then: value for then, value in one.samples if then in evaluated})
        for one in await prometheus.query_range(expression, start, end, STEP)
    ]


def key_of(uid: str, resource: str) -> Key:
    """Under which labels a pod is to be recorded: by what this test knows of it."""
    of_pod = [one for pods in CASES.values() for one in pods if one.uid == uid]
    labels = {
        "namespace": of_pod[0].namespace,
        "username": of_pod[0].username,
        "servername": max(one.server for one in of_pod),
        "profile": max(one.profile for one in of_pod),
        "profile_name": max(one.profile_name for one in of_pod),
        "gpu": "true" if any(one.gpus for one in of_pod) else "false",
        "resource": resource,
    }
    return tuple(sorted((key, value) for key, value in labels.items() if value))


def kind_of(resource: str) -> str:
    if resource.startswith("nvidia_com_"):
        return "gpu"
    return resource if resource in ("memory", "cpu") else ""


async def read_directly(
    prometheus: PrometheusClient, labels: pod_queries.PodLabels, at: Sequence[float]
) -> dict[Key, dict[float, float]]:
    """The rates of users' pods, read from kube-state-metrics and summed by what is recorded."""
    pods = pod_queries.Pods(labels, "", None, None)
    sums: defaultdict[Key, defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
    for expression, resource in ((pods.rates(), ""), (pods.running(), "time")):
        for labels_, samples in await directly(prometheus, expression, at):
            name = resource or kind_of(labels_["resource"])
            for instant_, value in samples.items() if name else ():
                sums[key_of(labels_["uid"], name)][instant_] += value
    return {key: dict(samples) for key, samples in sums.items()}


async def test_every_sample_is_what_is_read_directly(prometheus, kind):
    at = await evaluations(prometheus)
    assert len(at) >= 358
    expected = await read_directly(prometheus, kind.labels, at)
    assert len(expected) > 40
    assert await recorded(prometheus, conventions.RECORDED_REQUESTS) == expected


async def test_every_resource_is_recorded_as_it_was_requested(prometheus):
    """In the middle of the hour, against the list of cases and no query."""
    expected: defaultdict[Key, float] = defaultdict(float)
    for uid, one in PODS.items():
        alive = any(
            other.start <= MIDDLE <= other.end
            for pods in CASES.values()
            for other in pods
            if other.uid == uid and other.phase == "Running" and other.annotated
        )
        if alive:
            expected[key_of(uid, "time")] += 1
            for resource, amount in amounts_of(one):
                expected[key_of(uid, resource)] += amount
    found = await recorded(prometheus, conventions.RECORDED_REQUESTS)
    then = {
        key: value
        for key, samples in found.items()
        for at, value in samples.items()
        if MIDDLE <= at < MIDDLE + 60
    }
    assert then == expected


def amounts_of(one: Pod) -> Iterator[tuple[str, float]]:
    more = 2 if one.username == "one" else 0
    amounts = {"memory": one.memory, "cpu": one.cpu, "gpu": one.gpus + more}
    for resource, amount in amounts.items():
        if amount:
            yield resource, amount * len(one.containers)


async def test_evidence_is_where_both_metrics_were(prometheus, kind):
    at = await evaluations(prometheus)
    label = kind.labels.namespace
    expected: defaultdict[Key, dict[float, float]] = defaultdict(dict)
    for labels, samples in await directly(
        prometheus,
        f"group by ({label}) ({conventions.KSM_PHASE})"
        f" * on ({label}) group by ({label}) ({conventions.KSM_ANNOTATIONS})",
        at,
    ):
        expected[(("namespace", labels[label]),)] |= samples
    found = await recorded(prometheus, conventions.RECORDED_SEEN)
    assert found == expected
    assert {dict(key)["namespace"] for key in found} == {NAMESPACE, "other-hub", "empty-hub"}
    for samples in found.values():
        assert not any(DOWN[0] + 120 <= one <= DOWN[1] for one in samples)
        assert sum(DOWN[1] <= one for one in samples) >= 119
