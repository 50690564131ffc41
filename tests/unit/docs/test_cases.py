"""The table of cases: every test that it names is there, and every row names one."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.support.paths import ROOT

TESTS = ROOT / "tests"
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
ROWS = [
    line
    for line in (TESTS / "CASES.md").read_text().splitlines()
    if re.match(r"\| [A-D]\d* \|", line)
]


@cache
def functions_in(path: str) -> frozenset[str]:
    tree = ast.parse((TESTS / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(one.name for one in tree.body if isinstance(one, kinds))


def test_there_is_a_row_for_each_case():
    named = [row.split("|")[1].strip() for row in ROWS]
    cases = [*(f"A{number}" for number in range(1, 25)), *(f"B{number}" for number in range(1, 19))]
    assert set(cases) <= set(named)
    assert sorted(set(named) - set(cases)) == ["C", "D"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:60])
def test_what_holds_a_case_is_there(row: str):
    named = NAMED.findall(row)
    assert named
    assert len(named) == row.count("::")
    for path, function in named:
        assert function in functions_in(path), f"{path}::{function}"
