"""The package's commands, run as an admin runs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.forked import run_command

ELSEWHERE = {"JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_URL": "http://not-this.test"}
"""What the configuration says is meant, not what is in the environment."""


def check(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_command("check", "--config", config, *arguments, environment=os.environ | ELSEWHERE)
