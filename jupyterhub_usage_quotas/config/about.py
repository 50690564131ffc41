"""The package itself: the distribution that is imported, and the address of its documentation.

An older package of other authors has the same name, on the package index and when it is imported.
All of its versions are below 1; none of ours is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from traitlets import TraitError, Unicode, validate
from traitlets.config import LoggingConfigurable

from ..conventions import DISTRIBUTION, __version__
from ..quotas.messages import wrong
from .checks.urls import problem_of_url

FOLDER = Path(__file__).parent.parent
"""The folder that is imported."""

INSTALL_PAGE = "how-to/install"


class DocumentationOptions(LoggingConfigurable):
    """The part of `UsageConfig` about where the documentation is served."""

    documentation_url = Unicode(
        "",
        help="""
        Where you serve the documentation of this package, as `make docs` builds it: the links of
        `doctor` and the runbooks of alerts begin with it, for example
        "https://docs.example.org/usage-quotas/". Without it they name the file in this package's
        source, for example docs/how-to/troubleshooting.md.
        """,
    ).tag(config=True)

    @validate("documentation_url")
    def _documentation_url_is_http(self, proposal: Any) -> str:
        url = str(proposal.value).strip()
        if not url:
            return ""
        example = "https://docs.example.org/usage-quotas/"
        if problem := problem_of_url(url, example):
            raise TraitError(problem)
        if urlsplit(url).query:
            raise TraitError(wrong("has parameters", url, "a URL without any"))
        return url.rstrip("/") + "/"


def explained_at(documentation_url: str, page: str, anchor: str) -> str:
    """The place that explains something: a URL, or the file where no site is configured."""
    if documentation_url:
        return f"{documentation_url}{page}.html#{anchor}"
    return f"docs/{page}.md#{anchor}"


def imported() -> str:
    """The distribution that is imported, for people."""
    return f"{DISTRIBUTION} {__version__}, imported from {FOLDER}"


@dataclass(frozen=True, slots=True)
class Installed:
    """A distribution of our name that Python finds, by what was written when it was installed."""

    version: str
    folder: str
    editable: bool
    """Whether it only points at a checkout, whose version may have moved on since."""

    @property
    def is_imported(self) -> bool:
        """Whether it can be what is imported."""
        return self.version == __version__ or (self.editable and not self.version.startswith("0."))


def installed(path: Sequence[str] | None = None) -> Iterator[Installed]:
    """All distributions of our name on a path, Python's own by default."""
    folders = set()
    for one in metadata.distributions(name=DISTRIBUTION, path=list(path or sys.path)):
        folder = str(one.locate_file(""))
        if folder not in folders:
            folders.add(folder)
            yield Installed(one.version, folder, _is_editable(one))


def _is_editable(one: metadata.Distribution) -> bool:
    # https://packaging.python.org/en/latest/specifications/direct-url/
    origin = json.loads(one.read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable"))


def namesakes(path: Sequence[str] | None = None) -> list[str]:
    """A line for each installed distribution of our name that is not the one imported."""
    return [
        f"{DISTRIBUTION} {one.version} is installed in {one.folder}, but {__version__} is imported"
        f" from {FOLDER}"
        for one in installed(path)
        if not one.is_imported
    ]
