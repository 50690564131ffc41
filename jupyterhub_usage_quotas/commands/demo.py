"""`demo`: a JupyterHub with quotas and a month of usage."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..demo.ports import port_of


def add_demo(commands: Any) -> None:
    """Add the command to the command line's."""
    demo = commands.add_parser(
        "demo",
        help="start a JupyterHub with quotas and a month of usage, to try things out",
        description="Starts a JupyterHub with profiles and quotas, and a Prometheus with thirty"
        " days of usage, on this machine until you press Ctrl-C. Exit code: 0 it was stopped, 1 it"
        " could not start, for example because the port is taken.",
    )
    demo.add_argument(
        "--port", type=_port, default=8000, help="port of the demo Hub (default: 8000)"
    )
    demo.add_argument(
        "--directory", type=Path, metavar="FOLDER", help="working directory (default: .demo/PORT)"
    )
    demo.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> int:
    """Run the demo until it is interrupted."""
    from ..demo.run import run  # noqa: PLC0415 the demo's parts are not needed otherwise

    # Each port has its own, so that a second demo does not disturb the first.
    return run(options.directory or Path(".demo", str(options.port)), options.port)


def _port(text: str) -> int:
    try:
        return port_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
