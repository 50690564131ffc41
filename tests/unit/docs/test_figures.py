"""Figures on pages are those of the last runs, and claims of speed rest on them."""

from __future__ import annotations

import importlib
import json
import math
import re

import pytest

from benchmarks import pages, results
from benchmarks.claims import BY_HAND, CLAIMS, WRITTEN_WHOLE
from benchmarks.results import Measured, exponent
from tests.support.documentation import PAGES
from tests.support.paths import ROOT

PROGRAMS = sorted(path.stem for path in (ROOT / "benchmarks").glob("bench_*.py"))
RUNS = sorted(path.stem for path in (ROOT / "benchmarks/results").glob("*.json"))


def name_of(page):
    return str(page.relative_to(ROOT))


# --- pages and runs ------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages.pages(), ids=name_of)
def test_a_page_has_the_figures_of_the_last_run(page):
    text = page.read_text()
    assert pages.with_figures(text) == text, "write it anew: python -m benchmarks.pages"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_figures_end_where_they_begin_and_are_of_a_run(page):
    text = page.read_text()
    assert {name for name, _, _ in pages.BETWEEN.findall(text)} <= {*RUNS}
    begun = re.findall(r"^<!-- figures: ", text, re.M)
    assert len(begun) == len(pages.BETWEEN.findall(text))


@pytest.mark.parametrize("run", RUNS)
def test_all_tables_of_a_run_are_on_a_page(run):
    written = "".join(page.read_text() for page in pages.pages())
    shown = {what for name, what, _ in pages.BETWEEN.findall(written) if name == run}
    assert shown == {"made", *results.load(run).tables}


@pytest.mark.parametrize("run", RUNS)
def test_a_run_says_how_it_was_made(run):
    made = results.load(run).made
    assert re.search(
        rf"^{made['with'].removeprefix('make ')}:", (ROOT / "Makefile").read_text(), re.M
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", made["date"])
    assert made["machine"]
    if "load" in made:
        low, high = made["load"]
        assert 0 <= low <= high


def test_a_table_that_was_changed_by_hand_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "HERE", tmp_path)
    row = Measured("a launch", {"ms": 0.12345, "queries": 12_345.0, "none": 0.0})
    results.save("made-up", {"launches": [row]}, loads=[2.0, 0.5], runs=3, **{"with": "make bench"})
    page = "<!-- figures: made-up/launches -->\n<!-- end of figures -->"
    assert pages.with_figures(page) == page, "a name is of letters, digits and underscores"
    results.save("made_up", {"launches": [row]}, loads=[2.0, 0.5], runs=3, **{"with": "make bench"})
    page = "# Speed\n\n<!-- figures: made_up/launches -->\n<!-- end of figures -->\n"
    written = pages.with_figures(page)
    assert "| a launch | 0.123 | 12,340 | – |" in written
    assert pages.with_figures(written) == written
    assert pages.with_figures(written.replace("0.123", "0.013")) == written
    assert json.loads((tmp_path / "made_up.json").read_text())["made"]["load"] == [0.5, 2.0]


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_benchmark_can_be_started(program):
    importlib.import_module(f"benchmarks.{program}")


# --- growth --------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_growth(power):
    sizes = [100.0, 1000.0, 5000.0]
    assert exponent(sizes, [3.0 * one**power for one in sizes]) == pytest.approx(power, abs=1e-9)


def test_what_costs_nothing_has_an_exponent_all_the_same():
    assert math.isfinite(exponent([1.0, 2.0], [0.0, 0.0]))


# --- claims --------------------------------------------------------------------------------

SPEED = re.compile(
    r"""(?xi)
    \b\d[\d.,]*\s(?:ms\b|milliseconds|µs|microseconds|CPU[- ]seconds?|seconds?\sof\sCPU)
    | \btimes\s(?:as\sfast|faster|slower|fewer|less)
    | \bflat\sin\b
    | \ba\s(?:tenth|hundredth|fraction)\sof\b
    | \b(?:takes?|took|costs?)\b[^.;]{0,60}?\b[\d.,]+\s(?:seconds|minutes|[kMG]B)\b
    """
)
GENERATED = re.compile(r"<!-- figures: .*?<!-- end of figures -->", re.S)


def in_one_line(text):
    return " ".join(text.split())


def sentences(text):
    """Those of a page that were written by hand, in one line each."""
    by_hand = re.sub(r"^ *```.*?^ *```$|^#.*?$", "", GENERATED.sub("", text), flags=re.S | re.M)
    paragraphs = re.split(r"\n\s*\n|\n(?=[ ]*[-*|#] ?)", by_hand)
    for paragraph in paragraphs:
        yield from re.split(r"(?<=[.:;!?]) ", in_one_line(paragraph))


def said_of_speed(text):
    return [one for one in sentences(text) if SPEED.search(one)]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda one: one.words[:60])
def test_a_claim_is_on_its_page_and_holds(claim):
    assert in_one_line(claim.words) in in_one_line((ROOT / claim.page).read_text())
    assert claim.holds(), f"the last run does not bear out: {claim.words}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_is_said_of_speed_is_a_claim(page):
    name = name_of(page)
    if name in BY_HAND or (name.startswith(WRITTEN_WHOLE) and page not in pages.pages()):
        return
    claimed = [in_one_line(one.words) for one in CLAIMS if one.page == name]
    rest = [
        one for one in said_of_speed(page.read_text()) if not any(words in one for words in claimed)
    ]
    assert rest == [], "add what it rests on to benchmarks/claims.py"


def test_pages_that_rest_on_no_run_are_there():
    names = [name_of(page) for page in PAGES]
    for name in (*BY_HAND, *WRITTEN_WHOLE):
        assert any(one.startswith(name) for one in names)


def test_words_of_speed_are_found():
    for said in (
        "A decision takes 0.1 ms.",
        "It is three times as fast.",
        "Reading takes 12 CPU seconds.",
        "It is flat in policies.",
        "A launch waits\n20 milliseconds at most.",
        "Users of a month take 9 seconds and 0.3 GB.",
        "It costs a tenth of a join.",
    ):
        assert said_of_speed(said), said
    for other in ("Every 60 seconds.", "It ran three times.", "The deadline is 5 seconds."):
        assert not said_of_speed(other), other
    assert not said_of_speed("```\ntakes 3 ms\n```")
