"""The package's commands, run as an admin runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def check(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("jupyterhub-usage-quotas"), "check"]
    return subprocess.run(
        [*command, "--config", str(config), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_URL": "http://not-this.test"},
    )
