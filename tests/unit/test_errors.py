"""The tree of exceptions is the one that is drawn, and every reason is listed and documented."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from traitlets import TraitError

import jupyterhub_usage_quotas
from jupyterhub_usage_quotas import errors
from jupyterhub_usage_quotas.conventions import Reason
from jupyterhub_usage_quotas.costs.money import InvalidAmount
from jupyterhub_usage_quotas.quotas.policy.errors import InvalidPolicies
from jupyterhub_usage_quotas.quotas.units import InvalidQuantity

ROOT = Path(jupyterhub_usage_quotas.__file__).parent
DOCS = ROOT.parent / "docs"
DRAWN = re.compile(r"^ {4}(?P<branch>[│├└─ ]*)(?P<name>[A-Z]\w+) *(?P<text>.*)$", re.MULTILINE)


def drawn() -> dict[str, tuple[str, str]]:
    """By name, the parent and the words beside each exception of the drawing."""
    found: dict[str, tuple[str, str]] = {}
    path: list[str] = []
    for line in DRAWN.finditer(errors.__doc__ or ""):
        depth = len(line["branch"]) // 4
        path = [*path[:depth], line["name"]]
        found[line["name"]] = (path[-2] if depth else "", line["text"])
    return found


def exceptions() -> Iterator[type[Exception]]:
    """Every exception that the package defines, wherever."""
    for module in pkgutil.walk_packages([str(ROOT)], "jupyterhub_usage_quotas."):
        if module.name.endswith(("jupyterhub_config", "__main__")):
            continue
        loaded = importlib.import_module(module.name)
        for value in vars(loaded).values():
            is_one = isinstance(value, type) and issubclass(value, Exception)
            if is_one and value.__module__ == module.name:
                yield value


ALL = {one.__name__: one for one in exceptions()}
OUTSIDE = {InvalidAmount, InvalidPolicies, InvalidQuantity}


def test_the_tree_is_the_one_that_is_drawn():
    tree = {
        name: next(
            base.__name__ for base in one.__mro__[1:] if base.__name__ in {*ALL, "Exception"}
        )
        for name, one in ALL.items()
        if one not in OUTSIDE
    }
    assert tree.pop("UsageQuotasError") == "Exception"
    assert tree == {name: parent for name, (parent, _) in drawn().items() if parent}
    assert len(tree) > 20


def test_those_that_live_elsewhere_are_where_the_drawing_says():
    elsewhere = {name: text for name, (_, text) in drawn().items() if text.startswith("in `")}
    assert elsewhere == {
        name: text
        for name, text in elsewhere.items()
        if ALL[name].__module__ == f"jupyterhub_usage_quotas.{text.split('`')[1]}"
    }
    here = {name for name, one in ALL.items() if one.__module__ == errors.__name__}
    assert set(ALL) == here | set(elsewhere) | {one.__name__ for one in OUTSIDE}
    assert sorted(here) == errors.__all__


def test_those_outside_of_the_tree_are_value_errors():
    for one in OUTSIDE:
        assert issubclass(one, ValueError)
        assert not issubclass(one, errors.UsageQuotasError)
        assert f"`{one.__name__}`" in (errors.__doc__ or "")


def test_the_reasons_beside_the_tree_are_those_of_the_classes():
    told = {name: text for name, (_, text) in drawn().items() if re.fullmatch("[a-z_]+", text)}
    of_classes = {
        name: one.reason
        for name, one in ALL.items()
        if issubclass(one, errors.UsageUnknown) and hasattr(one, "reason")
    }
    assert told == of_classes
    assert len(told) == 9


def test_what_counts_against_prometheus():
    """A query that it refuses, or a database of the Hub's, says nothing about how it is."""
    unknown = [one for one in ALL.values() if issubclass(one, errors.UsageUnknown)]
    innocent = {one.__name__ for one in unknown if not one.counts_against_prometheus}
    assert innocent == {
        "UsageUnknown",
        "PodOwnersUnknown",
        "QueryRejected",
        "SessionLogUnavailable",
    }
    assert not issubclass(errors.PodOwnersUnknown, errors.PrometheusError)


@pytest.mark.parametrize(("count", "said"), [(1, "1 error"), (2, "2 errors")])
def test_a_configuration_error_has_all_lines(count: int, said: str):
    lines = [f"UsageConfig.option_{number}: wrong" for number in range(count)]
    error = errors.ConfigurationError(lines)
    assert isinstance(error, TraitError)
    assert error.errors == tuple(lines)
    expected = f"Invalid usage quota configuration ({said}):"
    assert str(error) == "\n".join([expected, *(f"  - {line}" for line in lines)])


# --- reasons -------------------------------------------------------------------------------------


def reasons_in_code() -> dict[str, str]:
    """The words that readings are made with, and where."""
    found: dict[str, str] = {}
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            position = {"Unknown": 0, "Stale": 1}.get(node.func.id)
            if position is None or len(node.args) <= position:
                continue
            given = node.args[position]
            if isinstance(given, ast.Constant):
                found[str(given.value)] = f"{path.relative_to(ROOT)}:{node.lineno}"
            else:
                named = isinstance(given, ast.Attribute | ast.Name)
                assert named, f"{path}:{node.lineno}: a reason must be one of `Reason`"
    return found


def test_readings_are_unknown_for_listed_reasons_only():
    unlisted = {word: where for word, where in reasons_in_code().items() if word not in set(Reason)}
    assert unlisted == {}


def test_every_reason_is_documented_and_nothing_else_is():
    """The table that docs/reference/metrics.md links to for its labels."""
    metrics = (DOCS / "reference" / "metrics.md").read_text()
    assert "(check.md#reasons)" in metrics
    page = (DOCS / "reference" / "check.md").read_text()
    section = page.partition("## Reasons")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [one.value for one in Reason]
