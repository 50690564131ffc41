"""The recording rules, and promtool, which checks and tests them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT
from tests.support.programs import find_program

FOLDER = ROOT / "charts-config/prometheus"
RULES = FOLDER / "recording-rules.yaml"
EXPORTED = FOLDER / "recording-rules-exported-labels.yaml"


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool; raises `ProgramFailed` where it is missing."""
    program = find_program("promtool", "on Debian it is in the package prometheus")
    command = [program, *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def written(path: Path, document: Any) -> Path:
    """A document as a file; JSON is YAML."""
    path.write_text(json.dumps(document))
    return path
