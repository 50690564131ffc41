"""Makes the scripts and styles of the pages from `frontend/`, when the package is built.

A source distribution has them already, so that installing from it needs no npm.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAMES = ("usage-quota.js", "usage-quota.css")


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
                " install Node.js 20 or newer (on Debian, `apt-get install nodejs npm`), or install"
                " a released wheel, which includes them"
            )
        if not (frontend / "node_modules" / ".bin" / "esbuild").exists():
            _run(npm, "ci", "--omit=dev", "--ignore-scripts", "--loglevel=error", of=frontend)
        _run(npm, "run", "--silent", "build", "--", "--log-level=warning", of=frontend)


def _is_built(frontend: Path, static: Path) -> bool:
    made = [static / name for name in NAMES]
    sources = [*(frontend / "src").glob("*"), frontend / "package-lock.json"]
    if not all(path.is_file() for path in made):
        return False
    newest = max((path.stat().st_mtime for path in sources if path.is_file()), default=0.0)
    return min(path.stat().st_mtime for path in made) >= newest


def _run(npm: str, *arguments: str, of: Path) -> None:
    done = subprocess.run([npm, *arguments], cwd=of, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"npm {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
