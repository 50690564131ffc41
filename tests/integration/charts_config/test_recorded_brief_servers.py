"""What rules record of servers that ran between two evaluations only is what is read directly: the
same pods, amounts and minutes. The rules' own expressions, evaluated by a real Prometheus.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from jupyterhub_usage_quotas import conventions
from jupyterhub_usage_quotas.config.usage import RECORDED, UsageConfig
from jupyterhub_usage_quotas.metering.client.pod_queries import PodLabels, Pods
from jupyterhub_usage_quotas.metering.sources.base import PrometheusSource
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from tests.support.rules import EXPORTED, EXPORTED_POD, RULES
from tests.support.samples import (
    GIB,
    GONE,
    HOUR,
    MINUTE,
    NOW,
    RUNNING,
    Life,
    Target,
    asks,
    hub_pod,
    runs,
    scraped,
)
from tests.support.ways import Asking, asking, instant
from tests.support.written import Labels, Sample, write

NAMESPACE = "hub-ns"
BEGIN, FIRST = NOW - 100 * MINUTE, NOW - 70 * MINUTE
EVALUATED = 0.5
"""The second of a minute at which rules are evaluated: as far from scrapes as the whole minute."""
OVER = timedelta(hours=1.5)
MINUTES = [FIRST + n * MINUTE for n in range(30)]
PODS = [
    hub_pod(BEGIN, NOW),
    runs("steady", BEGIN, NOW, name="s", uid="s"),
    *(runs("clock", at + 2.5, at + 55.4, uid=f"c-{at}", ask=asks(2, 1, 1)) for at in MINUTES),
    *(
        runs("loop", at + start, at + start + 20, uid=f"l-{at + start}")
        for at in MINUTES
        for start in (5, 32)
    ),
    *(runs("crossing", at + 30, at + 80, uid=f"x-{at}") for at in MINUTES[::2]),
    runs("resized", FIRST + 5, FIRST + 50, (FIRST + 20, asks(4)), (FIRST + 40, asks(2))),
    Life("finished", {FIRST + 5: RUNNING, FIRST + 47: "Succeeded", FIRST + 500: GONE}),
    runs("deleted", FIRST + 5, FIRST + 50, deleted={FIRST + 20: FIRST + 50}),
    runs("stuck", FIRST - 130, NOW, deleted={FIRST - 90: FIRST - 65}),
]
USED = {
    "clock": (30, 60),
    "loop": (60, 60),
    "crossing": (15, 15),
    "resized": (1, 4),
    "finished": (1, 1),
    "deleted": (1, 1),
    "stuck": (1, 1),
}
"""Minutes of time, and GiB-minutes."""

OTHERS = {"namespace": "monitoring", "pod": "ksm-5b8d", "container": "ksm"}
KINDS: dict[str, tuple[Path, PodLabels, dict[str, str]]] = {
    "honor_labels": (RULES, PodLabels(), {}),
    "exported labels": (EXPORTED, PodLabels("exported_namespace", "exported_pod"), OTHERS),
    "exported pod": (EXPORTED_POD, PodLabels(pod="exported_pod"), {"pod": "ksm-5b8d"}),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def prometheus(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """One with the pods, and with what the rules recorded of them."""
    rules, _, own = KINDS[kind]
    target = Target(BEGIN, NOW, every=5, offset=1.2, honors=not own, own=own)
    with asking(tmp_path_factory.mktemp("prometheus")) as prometheus:
        write(prometheus.url, scraped(PODS, [target]))
        (group,) = yaml.safe_load(rules.read_text())["groups"]
        for rule in group["rules"]:
            write(prometheus.url, recorded(prometheus, rule["record"], rule["expr"]))
        yield prometheus


def recorded(prometheus: Asking, metric: str, expression: str) -> dict[Labels, list[Sample]]:
    """What a rule records of an expression: a sample a minute, and a marker after the last."""
    samples: dict[Labels, list[Sample]] = {}
    for labels, values in every_minute(prometheus, expression).items():
        ended = {at + MINUTE: None for at in values if at + MINUTE < NOW}
        samples[labels | {("__name__", metric)}] = sorted({**ended, **values}.items())
    return samples


def every_minute(prometheus: Asking, expression: str) -> Mapping[Labels, Mapping[float, float]]:
    start, end = instant(BEGIN + EVALUATED), instant(NOW - MINUTE + EVALUATED)
    query = prometheus.client.query_range(expression, start, end, timedelta(minutes=1))
    return {frozenset(one.labels.items()): dict(one.samples) for one in prometheus.run(query)}


def test_every_sample_is_what_is_read_directly(prometheus, kind):
    rules, labels, _ = KINDS[kind]
    (group,) = yaml.safe_load(rules.read_text())["groups"]
    (expression,) = (
        rule["expr"] for rule in group["rules"] if rule["record"] == conventions.RECORDED_BRIEF
    )
    of_users: dict[str, dict[float, float]] = {}
    for series, values in every_minute(prometheus, expression).items():
        resource = dict(series)["resource"]
        for at, value in values.items():
            of_users.setdefault(resource, {}).setdefault(at, 0)
            of_users[resource][at] += value
    pods = Pods(labels, [NAMESPACE], None, None)
    directly = {
        "time": f"sum({pods.brief()})",
        "memory": f"sum({pods.brief_rates()} and on (resource) {of('memory')})",
        "gpu": f"sum({pods.brief_rates()} and on (resource) {of('nvidia_com_gpu')})",
    }
    for resource, query in directly.items():
        (found,) = every_minute(prometheus, query).values()
        assert found == of_users[resource], resource
    assert of_users["time"].keys() >= {at + MINUTE + EVALUATED for at in MINUTES}


def of(resource: str) -> str:
    return f'label_replace(vector(1), "resource", "{resource}", "", "")'


def test_usage_is_the_same(prometheus):
    config = UsageConfig(hub_namespace=NAMESPACE, usage_source=RECORDED)
    for source in (config.make_source(), KubeStateMetrics(NAMESPACE)):
        assert used(prometheus, source) == pytest.approx(expected()), source.name


def used(prometheus: Asking, source: PrometheusSource) -> dict[str, float]:
    meter = prometheus.meter(source, lambda: NOW)
    readings = prometheus.run(meter.read(list(USED), ("time", "memory"), OVER, instant(NOW)))
    return {
        f"{user} {resource}": reading.usage.between(NOW - 1.5 * HOUR, NOW)
        for user, of_user in readings.items()
        for resource, reading in of_user.items()
    }


def expected() -> dict[str, float]:
    return {
        key: value
        for user, (minutes, gib_minutes) in USED.items()
        for key, value in {
            f"{user} time": minutes * MINUTE,
            f"{user} memory": gib_minutes * GIB * MINUTE,
        }.items()
    }
