"""The documentation as a web site: building it, and looking at what was built."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

from tests.support.paths import ROOT

DOCS = ROOT / "docs"
HOME = "https://docs.example.org/usage-quotas/"
"""Where an admin says that the site is served."""


def build(
    target: Path, source: Path = DOCS, builder: str = "html"
) -> subprocess.CompletedProcess[str]:
    """Build it as `make docs` does: every warning is an error, and all of them are printed."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", builder]
    command += ["-d", str(target / ".doctrees"), str(source), str(target / builder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Page:
    """A page that was built."""

    path: Path

    @cached_property
    def soup(self) -> BeautifulSoup:
        """All of it."""
        return BeautifulSoup(self.path.read_text(encoding="utf-8"), "html.parser")

    @cached_property
    def text(self) -> str:
        """What the page itself says, without what is around it on every page."""
        article = self.soup.find("article")
        assert article, f"{self.path} has an article"
        return article.get_text()

    @cached_property
    def anchors(self) -> set[str]:
        """All that a link to the page can point at."""
        return {"", *(str(one["id"]) for one in self.soup.find_all(id=True))}

    @property
    def targets(self) -> Iterator[str]:
        """All that the page links to or loads from this site, as it is written."""
        for attribute in ("href", "src"):
            for one in self.soup.find_all(attrs={attribute: True}):
                target = str(one[attribute])
                if not urlsplit(target).scheme and not target.startswith("//"):
                    yield target


@dataclass(frozen=True)
class Site:
    """The site that was built into a folder."""

    folder: Path

    @cached_property
    def pages(self) -> dict[Path, Page]:
        """By path."""
        found = sorted(self.folder.rglob("*.html"))
        return {path.resolve(): Page(path) for path in found if "_static" not in path.parts}

    def page(self, name: str) -> Page:
        """A page by its name, for example "how-to/alerts"."""
        return self.pages[(self.folder / f"{name}.html").resolve()]

    def leads_nowhere(self, target: str, page: Path) -> bool:
        """Whether a link on a page leads to something that there is not."""
        parts = urlsplit(target)
        path = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
        if path in self.pages:
            return unquote(parts.fragment) not in self.pages[path].anchors
        return not path.is_file()
