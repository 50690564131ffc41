"""Loading a configuration outside of the Hub: JupyterHub's own file for commands; for a service
what the Hub passed on, and files of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path

from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from ...conventions import ENV_HANDED_OVER
from ...errors import ConfigurationError
from ...quotas.messages import said_by, wrong
from ..checks.validation import remarks
from ..credits.applying import of_configuration
from ..quotas import CONFIGURED
from ..viewer import UsageViewer
from .colon_assignments import apply_annotated_settings, apply_settings_of
from .earlier import merge_later
from .whereabouts import find_databases, whole


def load_config(path: Path) -> tuple[Config, list[str]]:
    """Load a JupyterHub configuration file as the Hub does; also returns lines for the admin.

    What the file prints (that of Zero to JupyterHub does) goes to standard error: standard output
    is for the command's own output. Of a part of The Littlest JupyterHub's configuration the whole
    is loaded. Raises `ConfigurationError` when it cannot be read or run.
    """
    try:
        path = whole(path)
        if not path.exists():
            raise ConfigurationError([wrong("no such file", str(path), "jupyterhub_config.py")])
        loader = PyFileConfigLoader(path.name, path=str(path.parent.absolute()))
        with redirect_stdout(sys.stderr):
            config: Config = loader.load_config()
        find_databases(config, path)
        lines = apply_annotated_settings(config, str(path))
        of_configuration(config)
    except ConfigurationError:
        raise
    except Exception as error:
        # The file is the admin's code: it can fail in any way.
        raise ConfigurationError([said_by(error)]) from error
    return config, [*lines, *remarks(config, (*CONFIGURED, UsageViewer))]


def load_service_config(
    environment: Mapping[str, str], files: Sequence[Path]
) -> tuple[Config, list[str]]:
    """The configuration of a service: what the Hub passed on, then its files, of which later ones
    take precedence; also returns lines for the admin. Raises `ConfigurationError`.
    """
    config = handed_over(environment)
    lines: list[str] = []
    for path in files:
        loaded, more = _load_file(path)
        merge_later(config, loaded)
        lines += more
    return config, lines


def handed_over(environment: Mapping[str, str]) -> Config:
    """The configuration that the Hub passed on in the environment; empty where it did not run the
    service.
    """
    parts: list[str] = []
    while (name := f"{ENV_HANDED_OVER}_{len(parts)}") in environment:
        parts.append(environment[name])
    if not parts:
        return Config()
    try:
        return Config(json.loads("".join(parts)))
    except (ValueError, TypeError) as error:
        # Not with the text: there are secrets in it.
        problem = "not the configuration that the Hub writes; do not set it yourself"
        raise ConfigurationError([f"{ENV_HANDED_OVER}_0: {problem}"]) from error


def _load_file(path: Path) -> tuple[Config, list[str]]:
    try:
        loader = PyFileConfigLoader(path.name, path=str(path.parent.absolute()))
        config: Config = loader.load_config()
    except Exception as error:
        # The file is the admin's code: it can fail in any way.
        raise ConfigurationError([f"{path}: {said_by(error)}"]) from error
    return config, apply_settings_of(config, path)


def printable(text: str) -> str:
    """Text from outside, without characters that would steer a terminal."""
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )
