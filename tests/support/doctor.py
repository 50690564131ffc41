"""Running `doctor` beside a real Hub, with the Hub's own Python, as `kubectl exec` would."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from .hub import PYTHONS

Found = dict[str, list[dict[str, Any]]]


def doctor(version: str, config: Path) -> Found:
    """What is found, by check."""
    command = [PYTHONS[version].parent / "jupyterhub-usage-quotas", "doctor", "--json"]
    done = subprocess.run(
        [*command, "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        cwd=config.parent,
    )
    said = json.loads(done.stdout)
    assert done.returncode == (0 if said["ok"] else 1), done.stderr
    found: Found = {}
    for one in said["findings"]:
        found.setdefault(one["check"], []).append(one)
    return found


def statuses(found: Found, *checks: str) -> list[str]:
    return [one["status"] for check in checks for one in found[check]]
