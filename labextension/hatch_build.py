"""The page's part is made with npm when the package is built. A source distribution has it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MADE = "jupyterlab_usage_quotas/labextension/package.json"


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling, as `pyproject.toml` says."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 its interface
        """Make it, unless it is there and as new as what it is made from."""
        folder = Path(self.root)
        sources = [*folder.glob("src/*"), *folder.glob("style/*"), folder / "package-lock.json"]
        newest = max((path.stat().st_mtime for path in sources if path.is_file()), default=0.0)
        made = folder / MADE
        if made.is_file() and made.stat().st_mtime >= newest:
            return
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit("npm was not found: install Node.js 20 or newer, or install a wheel")
        if not (folder / "node_modules" / "@jupyter" / "builder").exists():
            _run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", of=folder)
        _run(npm, "run", "--silent", "build", of=folder)


def _run(npm: str, *arguments: str, of: Path) -> None:
    done = subprocess.run([npm, *arguments], cwd=of, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"npm {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
