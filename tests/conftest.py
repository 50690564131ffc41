"""Fixtures that start real programs. A program that is missing is an error, never a skip."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

from tests.support.recorded import serve_history

__all__ = ["serve_history"]

ROOT = Path(__file__).parent.parent
os.environ["PATH"] = f"{ROOT / '.tools/node_modules/.bin'}:{os.environ['PATH']}"
os.environ["KUBECONFIG"] = str(ROOT / "tests/data/kubeconfig.yaml")
for _variable in list(os.environ):
    # What the machine has set must not reach the configuration under test.
    if _variable.startswith("JUPYTERHUB_") or _variable.lower().endswith("_proxy"):
        del os.environ[_variable]

# How long an example takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
