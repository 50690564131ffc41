"""The command line of the viewer: its configuration files, and options as 2i2c's package has them.

    python -m jupyterhub_usage_quotas.services.usage_viewer --config-files=a.py --port=9000

An option may also be written as traitlets applications have it: `--UsageViewer.service_port=9000`.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from traitlets import Any as Anything
from traitlets.config import Config

from ...config.files.earlier import NO_LONGER_NEEDED, VIEWER, spelling_of_today
from ...config.viewer import UsageViewer
from ...conventions import VIEWER_MODULE
from ...errors import ConfigurationError
from ...quotas.messages import wrong
from ..web.serving import add_config_files

FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "--port": "service_port",
        "--host": "service_host",
        "--service-prefix": "service_prefix",
        "--prometheus-url": "prometheus_url",
        "--hub-namespace": "hub_namespace",
        "--session-secret-key": "session_secret_key",
        "--public-hub-url": "public_hub_url",
        "--dev-mode": "dev_mode",
        "--prometheus-usage-quota-metrics": "prometheus_usage_quota_metrics",
        "--hub_api_url": "hub_api_url",
        "--hub_api_token": "hub_api_token",
        "--log-level": "log_level",
    }
)
"""Which option of `c.UsageViewer` a flag sets."""

SWITCHES: Mapping[str, tuple[str, object]] = MappingProxyType(
    {
        "--debug": ("log_level", "DEBUG"),
        "--show-config": ("show_config", True),
        "--show-config-json": ("show_config_json", True),
    }
)
"""What a flag without a value, of any application of traitlets, sets to what."""

SECTIONS = ("UsageConfig", VIEWER)
FILES = ("config_file", "config_files")


def command_line(arguments: Sequence[str] | None = None) -> tuple[list[Path], Config]:
    """The configuration files, and the options, which take precedence over what is in them.

    Raises `ConfigurationError` for values that cannot be read; exits as `argparse` does for an
    argument that is none.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {VIEWER_MODULE}",
        description="Shows users of a JupyterHub their usage and quotas.",
    )
    add_config_files(parser)
    for flag, option in FLAGS.items():
        parser.add_argument(flag, dest=option, metavar="VALUE", help=_help(option))
    for flag, (option, _) in SWITCHES.items():
        parser.add_argument(flag, action="store_true", help=_help(option))
    given, others = parser.parse_known_args(arguments)
    files = [one for path in given.config_files for one in _named(str(path))]
    config = Config()
    for option in FLAGS.values():
        if (text := getattr(given, option)) is not None:
            config[VIEWER][option] = _value(VIEWER, option, text)
    for flag, (option, value) in SWITCHES.items():
        if getattr(given, flag.strip("-").replace("-", "_")):
            config[VIEWER][option] = value
    for section, option, text in _in_sections(parser, others):
        if option in FILES:
            files += _named(text)
        else:
            config[section][option] = _value(section, option, text)
    return files, config


def _help(option: str) -> str:
    if option in NO_LONGER_NEEDED:
        return f"no longer needed: {NO_LONGER_NEEDED[option]}"
    return f"the same as c.{VIEWER}.{option}"


def _in_sections(
    parser: argparse.ArgumentParser, arguments: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """Section, option and text of every `--Section.option=text`, or `--Section.option text`."""
    rest = iter(arguments)
    for argument in rest:
        name, equals, text = argument.removeprefix("--").partition("=")
        section, dot, option = name.partition(".")
        if not argument.startswith("--") or not dot or section not in SECTIONS:
            parser.error(f"unrecognized arguments: {argument}")
        yield section, option, text if equals else next(rest, "")


def _named(text: str) -> list[Path]:
    """The files that a text names: one, or several as Python writes a list."""
    named = _collection(text)
    return [Path(str(one)) for one in named] if isinstance(named, list | tuple) else [Path(text)]


def _collection(text: str) -> object:
    """The list or mapping that a text writes as Python does; None where it writes none."""
    try:
        written = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return written if isinstance(written, list | tuple | dict) else None


def _value(section: str, option: str, text: str) -> Any:
    """A value as the option's kind reads it from text."""
    trait = UsageViewer.class_traits(config=True).get(spelling_of_today(section, option))
    if trait is None:
        return text
    if isinstance(trait, Anything):
        return _collection(text) or text
    try:
        return trait.from_string(text)
    except (TypeError, ValueError) as error:
        problem = wrong(got=text, expected=trait.info())
        raise ConfigurationError([f"{section}.{option}: {problem}"]) from error
