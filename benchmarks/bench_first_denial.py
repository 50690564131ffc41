"""How long it takes from nothing to the first denial, with the values of the tutorial.

    make bench-first-denial     about three minutes; writes docs/explanation/time-to-first-denial.md

The tests' small Kubernetes takes the place of a cluster, and what Helm does is done without it:
the tutorial's values are loaded by a real Hub with a real KubeSpawner. Prometheus scrapes once a
minute, as the chart `prometheus` has it, and the Hub refreshes once a minute, which is its default.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.support.hub import Hub
from tests.support.kubernetes.cluster import running_cluster
from tests.support.programs import start_prometheus
from tests.support.tutorials import NAMESPACE, allowed_annotations, upgraded
from tests.support.visitor import Visitor

VERSION = "5"
"""Of JupyterHub, which Zero to JupyterHub ships."""
USED = "jupyterhub_usage_quotas_used"
REMAINING = "jupyterhub_usage_quotas_remaining"
DENIED = 429

PAGE = """\
# Time to the first denial

Made by `make bench-first-denial` on {date}, on {cores} cores. From an empty directory to a denied
launch, with the values of [the tutorial](../tutorials/zero-to-jupyterhub.md): a quota of one GiB
for one minute. A small Kubernetes of the tests takes the place of a cluster, so no images are
pulled and nothing waits for a node; the Hub, KubeSpawner and Prometheus are real. Prometheus
scrapes once a minute, and the Hub queries it once a minute.

| | seconds | since the beginning |
|---|---:|---:|
{rows}

Nearly all of it is spent waiting for minutes to be over: usage is known for whole minutes, and the
quota is one minute long. While the server runs, the Hub's own pages show usage sooner, because the
Hub adds what running servers have used since.
"""


class Stages:
    """How long each part took."""

    def __init__(self) -> None:
        self._begun = self._last = time.monotonic()
        self.rows: list[str] = []

    def done(self, what: str) -> None:
        """Note that this is done, and say so."""
        now = time.monotonic()
        took, since = now - self._last, now - self._begun
        self.rows.append(f"| {what} | {took:.1f} | {since:.1f} |")
        print(f"{since:7.1f} s  {what} ({took:.1f} s)", flush=True)
        self._last = now


def wait_until(true: Callable[[], bool], seconds: float = 300) -> None:
    """Ask twice a second."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not get there in time"
        time.sleep(0.5)


def use_it_up(hub: Hub, stages: Stages) -> None:
    """A user starts a server, until the quota is used up and the next start is denied."""
    alice = Visitor(hub.url, "alice")
    alice.start()
    alice.wait_until_ready()
    stages.done("the user's server runs")
    wait_until(lambda: hub.metric(USED, username="alice") > 0)
    stages.done("the Hub has seen its usage in Prometheus")
    wait_until(lambda: hub.metric(REMAINING, username="alice") <= 0)
    stages.done("the quota is used up")
    alice.stop()
    denied = alice.start()
    assert denied.status_code == DENIED, denied.text
    stages.done("the server is stopped, and denied when it is started again")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    page = Path("docs/explanation/time-to-first-denial.md")
    parser.add_argument("--scrape-interval", default="1m")
    parser.add_argument("--output", type=Path, default=page)
    options = parser.parse_args()
    # What the tests do for themselves in conftest.py.
    programs = Path(".tools/node_modules/.bin").resolve()
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
    stages = Stages()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        with running_cluster(directory / "cluster", [NAMESPACE], allowed_annotations()) as cluster:
            cluster.create_pod(NAMESPACE, "hub-6d5f8c9b7d-x2x4z")
            stages.done("the cluster is up")
            prometheus, url = start_prometheus(
                directory, [cluster.scrape_config], scrape_interval=options.scrape_interval
            )
            with prometheus:
                stages.done("Prometheus is ready")
                with upgraded(directory / "hub", VERSION, cluster, url, ["quotas.yaml"]) as hub:
                    stages.done("the Hub is ready, with the tutorial's values")
                    use_it_up(hub, stages)
    options.output.write_text(
        PAGE.format(
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            cores=len(os.sched_getaffinity(0)),
            rows="\n".join(stages.rows),
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
