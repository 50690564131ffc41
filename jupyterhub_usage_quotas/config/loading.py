"""Loading a configuration of JupyterHub as the Hub does, for commands that are given one."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from ..errors import ConfigurationError
from .colon_assignments import apply_annotated_settings
from .quotas import CONFIGURED
from .validation import remarks


def load_config(path: Path) -> tuple[Config, list[str]]:
    """Load a JupyterHub configuration file as the Hub does; returns what to tell the admin, too.

    What the file prints (that of Zero to JupyterHub does) goes to standard error: standard output
    is for what was asked for. Raises `ConfigurationError` when it cannot be read or run.
    """
    try:
        loader = PyFileConfigLoader(path.name, path=str(path.parent.absolute()))
        with redirect_stdout(sys.stderr):
            config: Config = loader.load_config()
        lines = apply_annotated_settings(config, str(path))
    except Exception as error:
        # The file is the admin's code: it can fail in any way.
        raise ConfigurationError([f"{type(error).__name__}: {error}"]) from error
    return config, [*lines, *remarks(config, CONFIGURED)]


def printable(text: str) -> str:
    """Text from outside, without characters that would steer a terminal."""
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )
