"""The recording rules, and promtool, which checks and tests them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.paths import ROOT
from tests.support.programs import find_program

FOLDER = ROOT / "charts-config/prometheus"
RULES = FOLDER / "recording-rules.yaml"
EXPORTED = FOLDER / "recording-rules-exported-labels.yaml"
EXPORTED_POD = FOLDER / "recording-rules-exported-pod.yaml"


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool; raises `ProgramFailed` where it is missing."""
    program = find_program("promtool", "on Debian it is in the package prometheus")
    command = [program, *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@cache
def cases_in(path: Path) -> Mapping[str, Any]:
    """A document with cases, which nobody changes: to read one takes longer than to run it."""
    return yaml.safe_load(path.read_text())


def written(path: Path, document: Any) -> Path:
    """A document as a file; JSON is YAML."""
    path.write_text(json.dumps(document))
    return path
