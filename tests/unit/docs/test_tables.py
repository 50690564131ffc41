"""Tables, signatures and names on pages agree with what they describe."""

from __future__ import annotations

import inspect
import re

import pytest

from jupyterhub_usage_quotas import conventions
from jupyterhub_usage_quotas.quotas.decide import decide
from tests.support.documentation import PAGES
from tests.support.paths import ROOT

RULES = ROOT / "jupyterhub_usage_quotas/quotas/README.md"
CELL_ENDS = re.compile(r"(?<!\\)\|")


def uneven(text: str) -> list[str]:
    """The rows of tables that have another number of cells than the first row of their table."""
    found, width = [], 0
    for line in text.splitlines():
        cells = len(CELL_ENDS.findall(line)) if line.startswith("|") else 0
        if cells and width and cells != width:
            found.append(line)
        width = (width or cells) if cells else 0
    return found


@pytest.mark.parametrize("page", [*PAGES, RULES], ids=lambda page: str(page.relative_to(ROOT)))
def test_rows_of_a_table_have_as_many_cells_as_its_head(page):
    assert uneven(page.read_text()) == []


def test_two_rows_on_one_line_would_be_found():
    head = "| address | shows |\n|---|---|\n"
    assert uneven(head + "| `/a` | this \\| that |\n\n| one |\n|---|\n| cell |\n") == []
    assert uneven(head + "| `/a` | this | | `/b` | that |\n") == ["| `/a` | this | | `/b` | that |"]


def test_the_page_of_the_rules_calls_decide_as_it_is():
    (call,) = re.findall(r"^    decision = decide\((.*)\)$", RULES.read_text(), re.M)
    positional, by_name = [], []
    for argument in call.split(", "):
        (by_name if argument.endswith("=...") else positional).append(argument.removesuffix("=..."))
    kinds = inspect.signature(decide).parameters.values()
    assert positional == [one.name for one in kinds if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert by_name == [one.name for one in kinds if one.kind is one.KEYWORD_ONLY]


def test_a_tenant_is_sent_every_series_that_pods_are_read_from():
    page = (ROOT / "docs/how-to/multi-tenant-stores.md").read_text()
    (row,) = re.findall(r"^\| `kube-state-metrics` \| (.*) \|$", page, re.M)
    read = {
        value
        for name, value in vars(conventions).items()
        if name.startswith("KSM_") and isinstance(value, str) and value.startswith("kube_")
    }
    assert set(re.findall(r"`(\w+)`", row)) == read
    (sent,) = re.findall(r"regex: (kube_.*)$", page, re.M)
    assert {one for one in read if re.fullmatch(sent, one)} == read
