"""`demo`: a JupyterHub with quotas and a month of usage."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_demo(commands: Any) -> None:
    """Add the command to the command line's."""
    demo = commands.add_parser(
        "demo",
        help="start a JupyterHub with quotas and a month of usage, to try things out",
        description="Starts a JupyterHub with a Prometheus, quotas and thirty days of usage on this"
        " machine, until it is interrupted.",
    )
    demo.add_argument("--port", type=int, default=8000, help="of the JupyterHub (default 8000)")
    demo.add_argument("--directory", type=Path, default=Path(".demo"), help="for its files")
    demo.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> int:
    """Run the demo until it is interrupted."""
    from ..demo.run import run  # noqa: PLC0415 the demo's parts are not needed otherwise

    return run(options.directory, options.port)
