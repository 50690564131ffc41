"""What is made when the package is built: the pages' scripts and styles, and its public face.

The scripts and styles come from `frontend/`. A source distribution has them already, so that
installing from it needs no npm. The public face is the README and the links that a package index
shows, which depend on where the repository is: the environment variable `PROJECT_URL` says so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

NAMES = ("usage-quota.js", "usage-quota.css")
HEADER = "jupyterhub_usage_quotas/hub/pages/static/header.css"
"""The style that the dashboard has from the Hub's pages."""


class FrontendHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling, as `pyproject.toml` says."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 its interface
        """Make them, unless they are there and as new as what they are made from."""
        frontend = Path(self.root) / "frontend"
        static = Path(self.root) / "jupyterhub_usage_quotas" / "services" / "viewer" / "static"
        if _is_built(frontend, static):
            return
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit(
                "npm was not found. The scripts of the Usage Quota Dashboard are made with it:"
                " install Node.js 20 or newer (`apt-get install nodejs npm` on Debian 13 or newer;"
                " elsewhere from https://nodejs.org), or install a wheel, which includes them"
            )
        if not (frontend / "node_modules" / ".bin" / "esbuild").exists():
            _run(npm, "ci", "--omit=dev", "--ignore-scripts", "--loglevel=error", of=frontend)
        _run(npm, "run", "--silent", "build", "--", "--log-level=warning", of=frontend)


def _is_built(frontend: Path, static: Path) -> bool:
    made = [static / name for name in NAMES]
    sources = [
        *(frontend / "src").glob("*"),
        frontend / "package-lock.json",
        frontend.parent / HEADER,
    ]
    if not all(path.is_file() for path in made):
        return False
    newest = max((path.stat().st_mtime for path in sources if path.is_file()), default=0.0)
    return min(path.stat().st_mtime for path in made) >= newest


def _run(npm: str, *arguments: str, of: Path) -> None:
    done = subprocess.run([npm, *arguments], cwd=of, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"npm {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


class PublicFace(MetadataHookInterface):
    """Called by hatchling, as `pyproject.toml` says."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the README and the project's links."""
        home = os.environ.get("PROJECT_URL", "").rstrip("/")
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        version = metadata["version"]
        tag = "HEAD" if "dev" in version else f"v{version}"
        text = elsewhere(readme, home, tag)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = links(home, tag)


def links(home: str, tag: str) -> dict[str, str]:
    """The project's links by their names; none where it is not known where the repository is."""
    if not home:
        return {}
    return {
        "Source": home,
        "Documentation": f"{home}/blob/{tag}/docs/index.md",
        "Changelog": f"{home}/blob/{tag}/CHANGELOG.md",
        "Issues": f"{home}/issues",
    }


def elsewhere(readme: str, home: str, tag: str) -> str:
    """The README for readers who are not in the repository.

    Links and pictures in it are relative, which is right in a checkout and on a forge. They become
    absolute; where it is not known where the repository is, a link becomes the name of its file,
    and pictures are left out.
    """
    image, link = (
        r"!\[([^\]]*)\]\((?!https?:)([^)]+)\)\n*",
        r"(?<!!)\[([^\]]*)\]\((?!https?:)([^)#]+)([^)]*)\)",
    )
    if not home:
        return re.sub(link, r"\1 (`\2`)", re.sub(image, "", readme))
    readme = re.sub(image, rf"![\1]({home}/raw/{tag}/\2)\n\n", readme)
    return re.sub(link, rf"[\1]({home}/blob/{tag}/\2\3)", readme)
