"""Finding the errors in a configuration, all of them at once, before anything runs on it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from traitlets import TraitError
from traitlets.config.loader import LazyConfigValue

from .usage import UsageConfig

NO_LONGER_NEEDED: Mapping[str, str] = {
    "prometheus_emit_interval": "metrics are made when they are scraped",
    "prometheus_emit_namespace": "the names of the metrics are fixed",
    "prometheus_usage_metrics": "usage_source says which metrics are read",
    "escape_username_scheme": "usage is keyed on the username, not on names of pods; how home"
    " directories are called is said by home_storage_directory",
    "metrics_exporter_token": "the Hub exports its metrics itself",
    "hub_url": "the Hub knows its own address",
}
"""Options of earlier versions that are accepted and have no effect, and why."""


def errors_in_options(
    config: Mapping[str, Any], classes: Sequence[type[UsageConfig]], probe: UsageConfig
) -> Iterator[str]:
    """A line for every option in the sections of `classes` that is unknown or has a wrong value.

    The values that are right are set on `probe`, an instance of the last of `classes`.
    """
    refused: set[str] = set()
    for cls in classes:
        own = cls.class_trait_names(config=True)
        for name, value in config.get(section_of(cls), {}).items():
            where = f"{section_of(cls)}.{name}"
            if name in own:
                for error in _errors_in_value(where, probe, name, value):
                    refused.add(name)
                    yield error
            elif name not in NO_LONGER_NEEDED:
                yield f"{where}: unknown option; {_advice(name, classes)}"
    for name, error in _errors_in_defaults(probe):
        refused.add(name)
        yield error
    yield from (f"{UsageConfig.__name__}: {error}" for error in probe.errors_together(refused))


def section_of(cls: type[UsageConfig]) -> str:
    """The section of the configuration that the options of a class are written in."""
    return str(cls.section_names()[-1])


def _errors_in_value(where: str, probe: UsageConfig, name: str, value: Any) -> Iterator[str]:
    if isinstance(value, LazyConfigValue):
        value = value.get_value(getattr(probe, name))
    try:
        setattr(probe, name, value)
    except TraitError as error:
        yield f"{where}: {error}"


def _errors_in_defaults(probe: UsageConfig) -> Iterator[tuple[str, str]]:
    """Defaults that come from the environment can be wrong, too: their names, and lines."""
    for name in probe.trait_names(config=True):
        try:
            getattr(probe, name)
        except TraitError as error:
            yield name, f"{name}: {error}"


def remarks(config: Mapping[str, Any], classes: Sequence[type[UsageConfig]]) -> list[str]:
    """A line for every option that is accepted from earlier versions and has no effect now."""
    return [
        f"{section_of(cls)}.{name} is no longer needed and has no effect: {NO_LONGER_NEEDED[name]}"
        for cls in classes
        for name in config.get(section_of(cls), {})
        if name in NO_LONGER_NEEDED
    ]


def _advice(name: str, classes: Sequence[type[UsageConfig]]) -> str:
    owners = [section_of(cls) for cls in classes if name in cls.class_trait_names(config=True)]
    if owners:
        return f"it belongs to {owners[-1]}"
    known = sorted({known for cls in classes for known in cls.class_trait_names(config=True)})
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"right are {', '.join(known)}"
