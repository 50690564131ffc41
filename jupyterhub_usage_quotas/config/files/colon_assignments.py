"""Settings that were written with a colon: `c.UsageConfig.prometheus_url: "http://..."`.

To Python that is a type annotation, evaluated and dropped; published examples have it all the
same. The value is read from the text of the configuration files, and the admin gets a line about
it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitlets.config import Config

from .earlier import MANAGER, VIEWER
from .earlier import SECTIONS as EARLIER_SECTIONS

SECTIONS = ("UsageConfig", MANAGER, VIEWER, *EARLIER_SECTIONS)
CONFIG_D = "jupyterhub_config.d"
"""The folder beside the configuration file whose files Zero to JupyterHub loads as well."""


@dataclass(frozen=True, slots=True)
class AnnotatedSetting:
    """One `c.Section.name: value` without an assignment."""

    place: str
    section: str
    name: str
    value: Any


def apply_annotated_settings(config: Config, config_file: str) -> list[str]:
    """Set what was annotated and not assigned; returns a line about each."""
    files = _files(Path(config_file))
    return [remark for path in files for remark in apply_settings_of(config, path)]


def apply_settings_of(config: Config, path: Path) -> list[str]:
    """The same for one file alone."""
    remarks = []
    for setting in annotated_settings(path):
        section = config[setting.section]
        if setting.name in section:
            continue
        section[setting.name] = setting.value
        written = f"c.{setting.section}.{setting.name}"
        remarks.append(
            f"{setting.place}: `{written}: ...` is a type annotation in Python. It is taken as"
            f" the assignment it looks like; please write `{written} = ...`"
        )
    return remarks


def annotated_settings(path: Path) -> Iterator[AnnotatedSetting]:
    """All such settings in a file; none in one that is not Python or cannot be read."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign(
                target=ast.Attribute(
                    value=ast.Attribute(value=ast.Name(id="c"), attr=section), attr=name
                ),
                annotation=annotation,
                value=None,
            ) if section in SECTIONS:
                try:
                    value = ast.literal_eval(annotation)
                except ValueError:
                    continue
                yield AnnotatedSetting(f"{path.name}, line {node.lineno}", section, name, value)
            case _:
                pass


def _files(config_file: Path) -> list[Path]:
    return [config_file, *sorted((config_file.parent / CONFIG_D).glob("*.py"))]
