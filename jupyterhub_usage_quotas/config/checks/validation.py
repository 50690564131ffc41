"""Validation of a configuration: finds all errors at once, before anything runs on it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from traitlets import Bool, Dict, HasTraits, List, TraitError, TraitType, Undefined, Unicode
from traitlets.config.loader import LazyConfigValue

from ...quotas.messages import not_among, one_of, printable, shown, wrong
from ...quotas.policy.patterns import cannot_be_written
from ..files.earlier import (
    NO_LONGER_NEEDED,
    SECTIONS,
    remarks_on_spelling,
    said_twice,
    spelling_of_today,
)
from ..notices import SECRETS as NOTICE_SECRETS
from ..prometheus import SECRETS
from ..traits import Anything
from ..usage import UsageConfig

REFERENCE = "docs/reference/configuration.md"
DEEPEST = 40
"""How deep lists and mappings may be in each other; no option needs a tenth of it."""
PARSED = frozenset({"policy", "scope_backup_strategy", "resources", "credit_prices"})
"""Options that `parse_policies` reads."""
LARGEST = 10**300
"""Numbers inside of lists and mappings; beyond, there is no floating point."""
ALIKE = 0.8
"""How alike the name of a section must be to one of ours to be a misspelling; see `difflib`."""


def errors_in_options(
    config: Mapping[str, Any], classes: Sequence[type[UsageConfig]], probe: UsageConfig
) -> Iterator[str]:
    """A line for every option in the sections of `classes` that is unknown or has a wrong value.

    The values that are right are set on `probe`, an instance of the last of `classes`.
    """
    refused: set[str] = set()
    for cls in classes:
        section = section_of(cls)
        yield from said_twice(config, section)
        for where, written, value in _options(config, section):
            name = spelling_of_today(section, written)
            if name in cls.class_trait_names(config=True):
                for error in _errors_in_value(where, probe, name, value):
                    refused.add(name)
                    yield error
            elif written not in NO_LONGER_NEEDED:
                yield f"{where}: {_about_unknown(written, classes)}"
    for name, error in _errors_in_defaults(probe):
        refused.add(name)
        yield error
    for error in probe.errors_together(refused):
        yield f"{section_of(_class_of(error, classes))}: {error}"


def _class_of(error: str, classes: Sequence[type[UsageConfig]]) -> type[UsageConfig]:
    """The first class that has the option that an error begins with."""
    option = error.partition(":")[0].partition(" ")[0]
    having = (one for one in classes if option in one.class_trait_names(config=True))
    return next(having, classes[0])


def section_of(cls: type[UsageConfig]) -> str:
    """The section of the configuration that the options of a class are written in."""
    return str(cls.section_names()[-1])


def _options(config: Mapping[str, Any], section: str) -> Iterator[tuple[str, str, Any]]:
    """What is written in a section, under its name of today or an earlier one."""
    earlier = [name for name, today in SECTIONS.items() if today == section]
    for written_in in (section, *earlier):
        for name, value in config.get(written_in, {}).items():
            yield f"{written_in}.{printable(str(name))}", name, value


def _errors_in_value(where: str, probe: UsageConfig, name: str, value: Any) -> Iterator[str]:
    trait = probe.traits()[name]
    try:
        if isinstance(value, LazyConfigValue):
            value = value.get_value(getattr(probe, name))
        _require_readable(value, by_place=name in PARSED)
        if value is None and not trait.allow_none and not isinstance(trait, Anything):
            raise TraitError(wrong(got=value, expected=_expected(trait)))
        setattr(probe, name, value)
    except TraitError as error:
        yield f"{where}: {_readable(error, trait, value)}"
    except Exception as error:
        # Whatever the admin wrote is named, and never ends the Hub in another way.
        yield f"{where}: {wrong('cannot be read', value)} ({type(error).__name__})"


def _readable(error: TraitError, trait: TraitType[Any, Any], value: Any) -> str:
    """What is wrong with a value, where traitlets says it in its own words."""
    text = str(error)
    if not text.startswith(("The ", "Invalid ")):
        return text
    secret = trait.name in SECRETS or trait.name in NOTICE_SECRETS
    given = type(value).__name__ if secret else shown(value)
    return f"got {given}; expected {_expected(trait)}"


def _expected(trait: TraitType[Any, Any]) -> str:
    choices = getattr(trait, "values", None) or getattr(trait, "enum_class", None)
    if choices:
        return one_of(repr(str(getattr(one, "value", one))) for one in choices)
    if isinstance(trait, List):
        inner = getattr(trait, "_trait", None)
        return "a list of texts" if isinstance(inner, Unicode) else "a list"
    words = {Unicode: "a text", Bool: "True or False", Dict: "a dict"}
    return words.get(type(trait)) or str(trait.info())


def _require_readable(value: Any, *, by_place: bool) -> None:
    """Refuse values that cannot be passed on to a service: halves of characters, endless nesting.

    Characters are not checked in options whose parser names the place.
    """
    layer, depth = [value], 0
    while layer:
        if depth > DEEPEST:
            raise TraitError(f"nested too deep: expected at most {DEEPEST} levels")
        for one in layer:
            if not by_place and isinstance(one, str) and cannot_be_written(one):
                raise TraitError(wrong("has characters that no text can have", one))
            if depth and isinstance(one, int) and abs(one) > LARGEST:
                raise TraitError(wrong("has a number that is too large to mean anything", one))
        layer = [inner for one in layer for inner in _inside(one)]
        depth += 1


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, list | tuple | set | frozenset) else []


def _errors_in_defaults(probe: UsageConfig) -> Iterator[tuple[str, str]]:
    """Defaults that come from the environment can be wrong, too: their names, and lines."""
    shared = UsageConfig.class_trait_names(config=True)
    for name, trait in probe.traits(config=True).items():
        section = section_of(UsageConfig if name in shared else type(probe))
        value: Any = Undefined
        try:
            value = getattr(probe, name)
            # Defaults are not validated when they are made, not in every way.
            setattr(probe, name, value)
        except TraitError as error:
            yield name, f"{section}.{name}, by default: {_readable(error, trait, value)}"


def remarks(config: Mapping[str, Any], classes: Sequence[type[HasTraits]]) -> list[str]:
    """A line for everything that is accepted although it should be written in another way."""
    sections = [section_of(cls) for cls in classes if issubclass(cls, UsageConfig)]
    lines = [line for one in sections for line in remarks_on_spelling(config, one)]
    return [*lines, *_remarks_on_sections(config)]


def _remarks_on_sections(config: Mapping[str, Any]) -> Iterator[str]:
    """Nothing would read a section whose name is almost one of ours."""
    ours = ("UsageConfig", "UsageQuotaManager", "UsageViewer", "CostMonitor")
    for name in config:
        if name in ours or name in SECTIONS:
            continue
        close = difflib.get_close_matches(str(name), ours, n=1, cutoff=ALIKE)
        if close:
            yield f"c.{printable(str(name))} is unknown; did you mean c.{close[0]}?"


def _about_unknown(name: str, classes: Sequence[type[UsageConfig]]) -> str:
    owners = [section_of(cls) for cls in classes if name in cls.class_trait_names(config=True)]
    if owners:
        return f"unknown option; it belongs to {owners[-1]}"
    known = sorted({known for cls in classes for known in cls.class_trait_names(config=True)})
    return not_among("unknown option", name, known, f"all options are listed in {REFERENCE}")
