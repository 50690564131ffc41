"""What the viewer is configured with: what the Hub handed over, then the files it is given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from ...config.colon_assignments import apply_settings_of
from ...config.quotas import QuotaOptions
from ...config.viewer import UsageViewer, make_viewer, viewer_remarks
from ...conventions import ENV_HANDED_OVER
from ...errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Configured:
    """The options of the viewer, the rules that it shows, and what to tell the admin."""

    viewer: UsageViewer
    manager: QuotaOptions
    remarks: tuple[str, ...]


def read_configuration(environment: Mapping[str, str], files: Sequence[Path]) -> Configured:
    """Read the whole configuration; what is in a later file counts.

    Raises `ConfigurationError` with the faults.
    """
    config = handed_over(environment)
    remarks: list[str] = []
    for path in files:
        loaded, lines = _load(path)
        config.merge(loaded)
        remarks += lines
    viewer = make_viewer(config)
    manager = QuotaOptions(config=config)
    if not tuple(manager.policies):
        remarks.append(
            "There are no policies. A service that the Hub does not run itself must be given them:"
            " c.UsageQuotaManager.policy in one of its --config-files"
        )
    return Configured(viewer, manager, (*remarks, *viewer_remarks(config)))


def handed_over(environment: Mapping[str, str]) -> Config:
    """What the Hub handed over in the environment; empty where it did not run the service."""
    parts: list[str] = []
    while (name := f"{ENV_HANDED_OVER}_{len(parts)}") in environment:
        parts.append(environment[name])
    if not parts:
        return Config()
    try:
        return Config(json.loads("".join(parts)))
    except (ValueError, TypeError) as error:
        # Not with the text: there are secrets in it.
        raise ConfigurationError([f"{ENV_HANDED_OVER}_0: is not what the Hub writes"]) from error


def _load(path: Path) -> tuple[Config, list[str]]:
    try:
        loader = PyFileConfigLoader(path.name, path=str(path.parent.absolute()))
        config: Config = loader.load_config()
    except Exception as error:
        # The file is the admin's code: it can fail in any way.
        raise ConfigurationError([f"{path}: {type(error).__name__}: {error}"]) from error
    return config, apply_settings_of(config, path)
