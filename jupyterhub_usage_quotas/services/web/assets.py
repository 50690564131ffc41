"""The scripts and styles of a service's pages: made from `frontend/` when the package is built.

Their addresses change with their content, so that browsers may keep them for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tornado.web import HTTPError, StaticFileHandler

A_YEAR = 365 * 24 * 3600
VERSION_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Assets:
    """The files that were built, each with a version that stands for its content, and the names of
    those that were not: without them, pages are plain and stay as they were opened.
    """

    versions: Mapping[str, str]
    missing: Sequence[str] = ()

    @classmethod
    def found(cls, folder: Path, names: Sequence[str]) -> Assets:
        """Those of these names that are in the folder."""
        built = {name: _version(folder / name) for name in names if (folder / name).is_file()}
        return cls(built, [name for name in names if name not in built])

    def addresses(self, prefix: str) -> dict[str, str]:
        """The addresses for templates, by the kind of file: "js" and "css"."""
        return {
            name.rpartition(".")[2]: f"{prefix}{name}?v={version}"
            for name, version in self.versions.items()
        }


def _version(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:VERSION_LENGTH]


class AssetHandler(StaticFileHandler):
    """Serves them to everybody: they hold nothing about users."""

    def parse_url_path(self, url_path: str) -> str:
        """The path of a file; no file system has one with a NUL."""
        if "\0" in url_path:
            raise HTTPError(404)
        return super().parse_url_path(url_path)

    def set_default_headers(self) -> None:
        """Headers of every answer, errors included."""
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("Cross-Origin-Resource-Policy", "same-site")

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002 Tornado's signature
        """Kept for good where the address stands for this content, else checked each time."""
        wanted = self.get_query_argument("v", "")
        is_current = bool(wanted) and wanted == _version(Path(str(self.absolute_path)))
        kept = f"public, max-age={A_YEAR}, immutable"
        self.set_header("Cache-Control", kept if is_current else "no-cache")

    def write_error(self, status_code: int, **_kwargs: object) -> None:
        """Nothing but the status."""
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.finish(f"{status_code}")
