"""A real Prometheus loads the recording rules, and records what runs right now."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jupyterhub_usage_quotas import conventions
from tests.support.cluster import GIB, NAMESPACE, Pod, hub_pod
from tests.support.programs import Program, backfill, find_program, free_port
from tests.support.rules import RULES

Key = tuple[tuple[str, str], ...]
"""Labels of a series, in order, without its name."""


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[tuple[Program, str]]:
    """A Prometheus with servers that run right now, which has loaded the rules."""
    now = int(time.time())
    backfill(
        tmp_path,
        [*hub_pod(now - 600, now), *Pod("alice", now - 600, now, "jupyter-alice", "a").spans],
    )
    rules = tmp_path / "recording-rules.yaml"
    rules.write_text(RULES.read_text().replace("interval: 1m", "interval: 1s"))
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(json.dumps({"rule_files": [str(rules)]}))  # JSON is YAML
    port = free_port()
    command = [
        find_program("prometheus", "on Debian, `apt-get install prometheus`"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url = f"http://127.0.0.1:{port}"
    with Program(command, tmp_path / "prometheus.log") as prometheus:
        prometheus.wait_for_url(f"{url}/-/ready")
        yield prometheus, url


def answer(url: str, endpoint: str, **parameters: str) -> dict[str, Any]:
    reply = httpx.get(f"{url}/api/v1/{endpoint}", params=parameters, trust_env=False, timeout=30)
    assert reply.is_success, reply.text
    return reply.json()["data"]


def test_prometheus_loads_the_rules_and_records(loaded):
    prometheus, url = loaded

    def now(metric: str) -> dict[Key, str]:
        found = answer(url, "query", query=f"sum without (__name__) ({metric})")["result"]
        return {tuple(sorted(one["metric"].items())): one["value"][1] for one in found}

    prometheus.wait_until(lambda: bool(now(conventions.RECORDED_SEEN)))
    (group,) = answer(url, "rules")["groups"]
    assert [(rule["name"], rule["health"]) for rule in group["rules"]] == [
        (conventions.RECORDED_REQUESTS, "ok"),
        (conventions.RECORDED_BRIEF, "ok"),
        (conventions.RECORDED_SEEN, "ok"),
    ]
    assert now(conventions.RECORDED_SEEN) == {(("namespace", NAMESPACE),): "1"}
    labels = {"namespace": NAMESPACE, "username": "alice", "gpu": "false"}
    assert now(conventions.RECORDED_REQUESTS) == {
        tuple(sorted((labels | {"resource": "memory"}).items())): str(GIB),
        tuple(sorted((labels | {"resource": "time"}).items())): "1",
    }
    assert now(conventions.RECORDED_BRIEF) == {}
