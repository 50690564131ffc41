"""The command line: `jupyterhub-usage-quotas check`, `doctor`, `grant`, `ledger` and others.

What lives here: arguments, what is printed, and exit codes, a file a command. What must not: what
a command finds out or does (that is in `status`, `doctor` and `demo`).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..config.about import imported
from ..conventions import DISTRIBUTION
from .adjust import add_adjust
from .calibrate import add_calibrate
from .check import add_check
from .cost_report import add_cost_report
from .demo import add_demo
from .doctor import add_doctor
from .import_credits import add_import_credits
from .ledger import add_ledger
from .simulate import add_simulate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has seen enough, for example `head`. As Python's documentation of SIGPIPE says:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    whole = argparse.ArgumentParser(
        prog=DISTRIBUTION,
        description="Usage quotas for JupyterHub.",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # paths stay whole
    )
    whole.add_argument("--version", action="version", version=imported())
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    add_check(commands)
    add_simulate(commands)
    add_doctor(commands)
    add_adjust(commands)
    add_ledger(commands)
    add_calibrate(commands)
    add_cost_report(commands)
    add_import_credits(commands)
    add_demo(commands)
    return whole
