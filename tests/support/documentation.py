"""The pages of the documentation, and the snippets on them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "RELEASE", "SECURITY")),
    ROOT / "newsfragments/README.md",
    ROOT / "charts-config/README.md",
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in path.parts),
]


@dataclass(frozen=True)
class Snippet:
    """A block of code on a page."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def name(self) -> str:
        """What a reader is told to call the file: a comment in the first line."""
        found = re.match(r"# ([\w/.-]+\.\w+)\b", self.text)
        return found[1] if found else ""


def snippets(page: Path) -> Iterator[Snippet]:
    """All blocks of a page that are marked with a language; Sphinx' own directives are not code."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^( *)```([^\n]*)\n(.*?)^\1```$", text, re.M | re.S):
        indentation, language, inside = found.groups()
        if language not in DIRECTIVES and language.partition(" ")[0] not in DIRECTIVES:
            line = text[: found.start()].count("\n") + 1
            yield Snippet(page, line, language, textwrap.dedent(inside) if indentation else inside)


DIRECTIVES = {
    *("{toctree}", "{include}", "{options}", "{command-line}", "{http-api}", "{check-json}"),
    *("{error-tree}", "{simulate-json}"),
}


def named(page: Path, name: str) -> str:
    """The snippet of a page that is to be saved as this file."""
    (found,) = (one.text for one in snippets(page) if one.name == name)
    return found
