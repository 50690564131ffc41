"""The scripts and styles of the pages: made from `frontend/` when the package is built.

Their addresses change with their content, so that browsers may keep them for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tornado.web import StaticFileHandler

STATIC = Path(__file__).parent.parent / "viewer" / "static"
NAMES = ("usage-quota.js", "usage-quota.css")
A_YEAR = 365 * 24 * 3600
VERSION_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Assets:
    """The files that there are, each with a version that stands for its content."""

    versions: Mapping[str, str]

    @classmethod
    def found(cls, folder: Path = STATIC) -> Assets:
        """Those that were built; without them, pages are plain and stay as they were opened."""
        paths = [folder / name for name in NAMES]
        return cls({path.name: _version(path.read_bytes()) for path in paths if path.is_file()})

    @property
    def missing(self) -> list[str]:
        """The names of those that were not built."""
        return [name for name in NAMES if name not in self.versions]

    def addresses(self, prefix: str) -> dict[str, str]:
        """The addresses for templates, by the kind of file: "js" and "css"."""
        return {
            name.rpartition(".")[2]: f"{prefix}{name}?v={version}"
            for name, version in self.versions.items()
        }


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:VERSION_LENGTH]


class AssetHandler(StaticFileHandler):
    """Serves them to everybody: there is nothing of anybody in them."""

    def set_default_headers(self) -> None:
        """Headers of every answer, errors included."""
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("Cross-Origin-Resource-Policy", "same-site")

    def set_extra_headers(self, path: str) -> None:
        """Kept for good where the address stands for this content, else asked for each time."""
        wanted = self.get_query_argument("v", "")
        current = Assets.found(Path(str(self.root))).versions.get(path)
        kept = f"public, max-age={A_YEAR}, immutable"
        self.set_header("Cache-Control", kept if wanted and wanted == current else "no-cache")

    def write_error(self, status_code: int, **_kwargs: object) -> None:
        """Nothing but the status."""
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.finish(f"{status_code}")
