"""The expressions of dashboards and alerts, and what they ask for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser
import yaml

from .chart import FOLDER

ALERTS = FOLDER / "prometheus/alerts.yaml"
ALL_DASHBOARDS = sorted((FOLDER / "grafana/dashboards").glob("*.json"))
COST_DASHBOARDS = [path for path in ALL_DASHBOARDS if path.stem.startswith("cloud-costs")]
"""They query the cost monitor, and no Prometheus."""
DASHBOARDS = [path for path in ALL_DASHBOARDS if path not in COST_DASHBOARDS]
VARIABLES = {
    "$hub": ".*",
    "$policy": ".*",
    "$user_name": ".*",
    "$__interval": "5m",
    "$__rate_interval": "5m",
    "$__range": "7d",
}
"""Grafana's variables, and ours with everything selected."""


@dataclass(frozen=True)
class Expression:
    """One expression, and where it is."""

    place: str
    text: str
    shown: str = ""
    """The labels that the panel shows, in its legend or as columns."""


@dataclass(frozen=True)
class Asked:
    """What an expression asks for: labels by metric, and those that its operators name."""

    by_metric: dict[str, set[str]]
    by_operators: set[str]


def substituted(text: str, variables: dict[str, str] = VARIABLES) -> str:
    """An expression of a dashboard as Grafana sends it."""
    for name in sorted(variables, key=len, reverse=True):
        text = text.replace(name, variables[name])
    return text


def of_dashboards(variables: dict[str, str] = VARIABLES) -> Iterator[Expression]:
    """The expressions of all panels."""
    for path in DASHBOARDS:
        for panel in panels(json.loads(path.read_text())):
            columns = [
                label
                for one in panel.get("transformations") or []
                for label in one["options"].get("renameByName", {})
                if not label.startswith("Value")
            ]
            for target in panel["targets"]:
                legend = " ".join(f"{{{{{label}}}}}" for label in columns)
                yield Expression(
                    f"{path.stem}: {panel['id']} {panel['title']} {target['refId']}",
                    substituted(target["expr"], variables),
                    target.get("legendFormat") or legend,
                )


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The panels of a dashboard, without its rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            assert not panel["panels"]
        else:
            yield panel


def of_alerts() -> Iterator[Expression]:
    """The expressions of all alerts."""
    for rule in alerts():
        # The link to a runbook is a template with a query of its own, which its test knows.
        notes = [text for name, text in rule["annotations"].items() if name != "runbook_url"]
        shown = " ".join(notes).replace("$labels.", "")
        yield Expression(rule["alert"], rule["expr"], shown)


def alerts() -> list[dict[str, Any]]:
    """The alerts."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return list(group["rules"])


def labels_shown(text: str) -> set[str]:
    """The labels that a legend or an annotation names."""
    return {name for name in re.findall(r"{{ *(\w+) *}}", text) if name != "$value"}


def asked_for(text: str) -> Asked:
    """What an expression asks for, as a parser that is not ours understands it."""
    by_metric: dict[str, set[str]] = {}
    by_operators: set[str] = set()

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            matched = {matcher.name for matcher in node.matchers.matchers}
            by_metric.setdefault(node.name, set()).update(matched)
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            by_operators.update(node.modifier.labels)
        elif isinstance(node, promql_parser.BinaryExpr) and node.modifier:
            matching, grouped = node.modifier.matching, node.modifier.group_labels
            by_operators.update(matching.labels if matching else ())
            by_operators.update(grouped or ())
        return True

    promql_parser.walk(promql_parser.parse(text), visit)
    return Asked(by_metric, by_operators)
