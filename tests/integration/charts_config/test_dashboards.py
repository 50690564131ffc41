"""Every panel of the dashboards shows something: a real Prometheus with the real rules scrapes the
metrics of two Hubs, and answers what Grafana would ask it.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.expressions import ALERTS, Expression, labels_shown, of_dashboards
from tests.support.paths import ROOT
from tests.support.programs import Program, find_program, free_port
from tests.support.rules import RULES
from tests.support.visitor import Visitor

HUBS = ("hub", "hub-2")
ALL = {
    "$hub": ".*",
    "$policy": ".*",
    "$user_name": ".*",
    "$__interval": "10s",
    "$__rate_interval": "10s",
    "$__range": "10s",
}


def every_second(directory: Path, path: Path) -> str:
    """Rules that are evaluated every second: a test need not wait for minutes."""
    document = yaml.safe_load(path.read_text())
    for group in document["groups"]:
        group["interval"] = "1s"
    (directory / path.name).write_text(json.dumps(document))
    return str(directory / path.name)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory) -> Iterator[str]:
    """The URL of a Prometheus that knows two Hubs."""
    directory = tmp_path_factory.mktemp("prometheus")
    with ExitStack() as running:
        ports = {hub: free_port() for hub in HUBS}
        for hub, port in ports.items():
            command = [sys.executable, "-m", "tests.support.exporting_hub", str(port), hub]
            log = directory / f"{hub}.log"
            exporter = running.enter_context(Program(command, log, directory=ROOT))
            exporter.wait_for_url(f"http://127.0.0.1:{port}/metrics")
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": hub}}
            for hub, port in ports.items()
        ]
        job = {"job_name": "hubs", "honor_labels": True, "static_configs": targets}
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [job],
            "rule_files": [every_second(directory, path) for path in (ALERTS, RULES)],
        }
        (directory / "prometheus.yml").write_text(json.dumps(config))
        port = free_port()
        command = [
            find_program("prometheus", "on Debian, `apt-get install prometheus`"),
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        program = running.enter_context(Program(command, directory / "prometheus.log"))
        program.wait_for_url(f"http://127.0.0.1:{port}/-/ready")
        yield f"http://127.0.0.1:{port}"


def ask(url: str, expression: str, *, over: int = 0) -> list[dict[str, Any]]:
    """The answer as of now, or over so many seconds before."""
    if over:
        end = time.time()
        parameters = {"query": expression, "start": end - over, "end": end, "step": 1}
        answer = httpx.get(f"{url}/api/v1/query_range", params=parameters, trust_env=False)
    else:
        parameters = {"query": expression}
        answer = httpx.get(f"{url}/api/v1/query", params=parameters, trust_env=False)
    document = answer.json()
    assert document["status"] == "success", document
    assert not document.get("warnings")
    return document["data"]["result"]


def values(url: str, place: str, variables: dict[str, str] = ALL) -> dict[tuple[str, ...], float]:
    """What an expression of a dashboard gives now, by the values of its labels."""
    (one,) = [one for one in of_dashboards(variables) if one.place.startswith(place)]
    return {
        tuple(value for _, value in sorted(series["metric"].items())): float(series["value"][1])
        for series in ask(url, one.text)
    }


@pytest.mark.parametrize("one", list(of_dashboards(ALL)), ids=lambda one: one.place)
def test_every_panel_shows_both_hubs(one: Expression, prometheus: str):
    def shown() -> bool:
        # A legend shows a label that is not there as nothing: of a pool, its user.
        series = [entry["metric"] for entry in ask(prometheus, one.text)]
        needed = labels_shown(one.shown) - {"username"}
        complete = [entry for entry in series if needed <= set(entry)]
        hubs = {entry["namespace"] for entry in series if "namespace" in entry}
        return bool(complete) and (hubs == set(HUBS) or not needed)

    Visitor.wait_until(shown, 60)
    assert ask(prometheus, one.text, over=5)


@pytest.mark.parametrize("one", list(of_dashboards(ALL | {"$hub": "hub"})), ids=str)
def test_a_panel_about_one_hub_shows_no_other(one: Expression, prometheus: str):
    series = [entry["metric"] for entry in ask(prometheus, one.text)]
    assert {entry.get("namespace", "hub") for entry in series} == {"hub"}


def test_shares_are_right_whatever_is_not_known_or_has_no_limit(prometheus: str):
    of_hub = ALL | {"$hub": "hub"}
    shares = values(prometheus, "usage-quotas: 9 Who is near their limit A", of_hub)
    assert math.isnan(shares.pop(("hub", "weekly", "memory", 'b.o"b')))
    assert shares == {
        ("hub", "weekly", "memory", "alice"): 1.2,
        ("hub", "pool", "gpu"): 0.9,
        ("hub", "cpu", "cpu", "al"): 0.75,
        ("hub", "weekly", "memory", "al"): 0.5,
        ("hub", "hours", "time", "al"): 0.5,
        ("hub", "gpu-week", "gpu", "al"): 0.25,
        ("hub", "home", "storage", "al"): 0.2,
        ("hub", "weekly", "memory", "carl"): 0.0,
    }
    used = values(prometheus, "usage-quotas: 9 Who is near their limit B", of_hub)
    assert used["hub", "weekly", "memory", "alice"] == pytest.approx(120)
    assert used["hub", "home", "storage", "al"] == pytest.approx(2)
    by_policy = values(prometheus, "usage-quotas: 11 Share of all limits together", of_hub)
    # (50 + 120 + 1) of (100 + 100 + 0): without whom is not known, and who has no limit.
    assert by_policy["hub", "weekly"] == pytest.approx(171 / 200)
    by_group = values(prometheus, "usage-quotas: 13 Memory, by the groups of the policy A", of_hub)
    assert by_group == {("hub", "students", "7"): pytest.approx(171 / 200)}


@pytest.mark.parametrize(
    ("number", "expected"), [("2 Users", 5), ("3 Near", 2), ("4 Over", 1), ("5 Not known", 1)]
)
def test_numbers_are_right(number: str, expected: int, prometheus: str):
    of_hub = ALL | {"$hub": "hub"}
    assert values(prometheus, f"usage-quotas: {number}", of_hub) == {(): expected}


def test_one_user_is_shown_without_those_whose_names_begin_alike(prometheus: str):
    of_al = ALL | {"$hub": "hub", "$user_name": "al"}
    shares = values(prometheus, "usage-quotas: 9 Who is near their limit A", of_al)
    assert {key[-1] for key in shares} == {"al"}
