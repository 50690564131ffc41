"""Running `doctor` beside a real Hub, with the Hub's own Python, as `kubectl exec` would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .forked import run_command
from .hub import PYTHONS

Found = dict[str, list[dict[str, Any]]]


def doctor(version: str, config: Path) -> Found:
    """What is found, by check."""
    done = run_command(
        "doctor", "--json", "--config", config, python=PYTHONS[version], directory=config.parent
    )
    said = json.loads(done.stdout)
    assert done.returncode == (0 if said["ok"] else 1), done.stderr
    found: Found = {}
    for one in said["findings"]:
        found.setdefault(one["check"], []).append(one)
    return found


def statuses(found: Found, *checks: str) -> list[str]:
    return [one["status"] for check in checks for one in found[check]]
