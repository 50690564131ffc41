"""`doctor`: diagnoses a deployment before users notice, and suggests fixes."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitlets.config import Config

from ..config.about import explained_at
from ..config.files.loading import load_config, printable
from ..config.viewer import errors_in_viewer
from ..doctor.deployment import Deployment
from ..doctor.examine import CONFIGURATION, examine
from ..doctor.findings import Finding, Status, counted, failed, warning
from ..errors import ConfigurationError
from ..hub.launch.enforcement import UsageQuotaManager

SYMBOLS = {Status.OK: "✓", Status.WARNING: "!", Status.FAILED: "✗", Status.SKIPPED: "-"}
COLOURS = {Status.OK: "32", Status.WARNING: "33", Status.FAILED: "31", Status.SKIPPED: "2"}
"""https://en.wikipedia.org/wiki/ANSI_escape_code#SGR"""
NAMES = 17
"""The width of the column of names."""
INDENT = " " * (NAMES + 2)
LONGEST_LINE = 110

PAGE = "how-to/troubleshooting"
"""Explains each check under its name."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, by check, and where the configuration says that checks are explained."""

    findings: Sequence[tuple[str, Finding]]
    documentation_url: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(finding.status is not Status.FAILED for _, finding in self.findings)

    def explained_at(self, check: str) -> str:
        """Where a check is explained."""
        return explained_at(self.documentation_url, PAGE, check)


def add_doctor(commands: Any) -> None:
    """Add the command to the command line's."""
    doctor = commands.add_parser(
        "doctor",
        help="diagnose a deployment and suggest fixes",
        description="Checks the configuration, Prometheus, the usage source, the Hub's database"
        " and the Usage Quota Dashboard, and explains what is wrong. Run it where the Hub runs. It"
        " changes nothing. Exit code: 0 nothing failed (there may be warnings), 1 something did.",
    )
    doctor.add_argument("--config", required=True, metavar="FILE", help="jupyterhub_config.py")
    doctor.add_argument("--json", action="store_true", help="print JSON with a stable schema")
    doctor.set_defaults(run=run_doctor)


def run_doctor(options: argparse.Namespace) -> int:
    """Examine a set-up; returns the exit code."""
    found = asyncio.run(_found(Path(options.config)))
    if options.json:
        print(json.dumps(_report(found), indent=2))
    else:
        print("\n".join(_text(found, colours=_colours_wanted())))
    return 0 if found.passed else 1


async def _found(path: Path) -> Found:
    """What is found. Nothing can be checked without a configuration."""
    try:
        config, lines = load_config(path)
        deployment = _deployment(config)
    except ConfigurationError as error:
        cure = f"Correct it in {path}, or in what that file reads it from."
        return Found([(CONFIGURATION, failed(one, cure)) for one in error.errors])
    cure = "It works as it is. When convenient, write it as suggested."
    found = [(CONFIGURATION, warning(line, cure)) for line in lines]
    try:
        found += [one async for one in examine(deployment)]
        return Found(found, deployment.manager.documentation_url)
    finally:
        await deployment.aclose()


def _deployment(config: Config) -> Deployment:
    """What is examined. Errors of the dashboard alone are found by its own check."""
    try:
        return Deployment(config, UsageQuotaManager(config=config))
    except ConfigurationError as error:
        raise ConfigurationError([*error.errors, *errors_in_viewer(config)]) from error


def _report(found: Found) -> dict[str, Any]:
    """The form is documented in docs/reference/doctor.md. Keys are only ever added."""
    return {
        "ok": found.passed,
        "findings": [
            {
                "check": name,
                "status": finding.status.value,
                "says": finding.says,
                "cure": finding.cure or None,
                "page": explained_at("", PAGE, name),
                "url": found.explained_at(name) if found.documentation_url else None,
            }
            for name, finding in found.findings
        ],
    }


def _colours_wanted() -> bool:
    # https://no-color.org
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _text(found: Found, *, colours: bool) -> list[str]:
    width = min(shutil.get_terminal_size((LONGEST_LINE, 24)).columns, LONGEST_LINE)
    lines: list[str] = []
    for name, finding in found.findings:
        lines += _lines(name, finding, width, colours=colours)
        if finding.status is Status.FAILED:
            lines.append(f"{INDENT}  {found.explained_at(name)}")
    return [*lines, "", _summary([finding for _, finding in found.findings])]


def _lines(name: str, finding: Finding, width: int, *, colours: bool) -> list[str]:
    symbol = SYMBOLS[finding.status]
    first = textwrap.wrap(
        printable(finding.says), width, initial_indent=INDENT, subsequent_indent=INDENT
    )
    head = f"{symbol} {name.ljust(NAMES)}"
    if colours:
        head = f"\x1b[{COLOURS[finding.status]}m{head}\x1b[0m"
    lines = [head + first[0][len(INDENT) :], *first[1:]]
    if finding.cure:
        lines += textwrap.wrap(
            printable(finding.cure),
            width,
            initial_indent=f"{INDENT}→ ",
            subsequent_indent=f"{INDENT}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _summary(findings: Sequence[Finding]) -> str:
    count = Counter(finding.status for finding in findings)
    if not count[Status.FAILED] and not count[Status.WARNING]:
        skipped = f" {count[Status.SKIPPED]} not checked." if count[Status.SKIPPED] else ""
        return f"Nothing is wrong.{skipped}"
    parts = [
        counted(count[Status.FAILED], "failure"),
        counted(count[Status.WARNING], "warning"),
        f"{count[Status.SKIPPED]} not checked",
    ]
    return ", ".join(part for part in parts if not part.startswith("0 ")) + "."
