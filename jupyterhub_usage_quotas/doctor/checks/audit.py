"""The check of the audit log: can lines be added to its file?"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

from ...ledger.base import NO_LEDGER
from ...quotas.messages import printable, shown
from ..deployment import Deployment
from ..findings import Finding, failed, ok, warning

CURE = (
    "Until then the lines are in the dashboard's own log and on the command's standard error. Give"
    " the file, and its folder, to the user as which the dashboard runs."
)
"""What to do where a line cannot be added."""


async def audit_log(deployment: Deployment) -> list[Finding]:
    """Whether the audit log can be written, as far as this process may write what the dashboard
    may. The file is neither made nor changed.
    """
    named = deployment.manager.audit_log
    if not named:
        return [ok("no file is named: the dashboard logs each adjustment in its own log")]
    file = Path(named)
    # A network file system may not answer: that holds up this check alone.
    problem, is_there = await asyncio.to_thread(_problem_of, file)
    if problem:
        return [failed(f"the audit log {shown(named)} cannot be written: {problem}", CURE)]
    found = [ok(f"the audit log {shown(named)} can be written{'' if is_there else ', once made'}")]
    if is_there and _is_open_to_all(file):
        found.append(
            warning(
                f"every user of this machine may write into the audit log {shown(named)}",
                f"chmod o-w {printable(named)}: what anybody can write proves nothing.",
            )
        )
    if deployment.manager.ledger is NO_LEDGER:
        found.append(
            warning(
                "an audit log is named, and there is no ledger whose adjustments it could have",
                "Set c.UsageConfig.ledger_url, or leave out audit_log.",
            )
        )
    return found


def _problem_of(file: Path) -> tuple[str, bool]:
    """Why a line cannot be added, empty where it can; and whether the file is there."""
    try:
        # As the log itself opens it, but it makes none here; a pipe that nobody reads is refused.
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return _problem_of_folder(file.parent), False
    except OSError as error:
        return printable(f"{type(error).__name__}: {error.strerror}"), True
    os.close(descriptor)
    return "", True


def _problem_of_folder(folder: Path) -> str:
    if not folder.is_dir():
        return f"there is no folder {shown(str(folder))}"
    may = os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)
    return "" if may else f"no file can be made in {shown(str(folder))}"


def _is_open_to_all(file: Path) -> bool:
    found = file.stat()
    return stat.S_ISREG(found.st_mode) and bool(found.st_mode & stat.S_IWOTH)
