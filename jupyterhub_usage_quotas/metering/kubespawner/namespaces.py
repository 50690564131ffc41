"""The namespaces in which KubeSpawner puts users' pods, where that is not the Hub's own."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...conventions import POD_NAMESPACE_FILE

USER_NAMESPACE_TEMPLATE = "{hubnamespace}-{username}"
"""KubeSpawner's default."""


def pod_namespaces(config: Mapping[str, Any]) -> list[str]:
    """The namespaces that a configuration of the Hub says, as patterns with `*`.

    Every spawner's section counts: the options may be set on a subclass of KubeSpawner.
    """
    found: list[str] = []
    for section in sections_of_kubespawner(config):
        found += [one for one in _namespaces(section) if one not in found]
    return found


def sections_of_kubespawner(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The sections that may have options of KubeSpawner, those of spawners of one's own last."""
    sections = [
        (name, section)
        for name, section in config.items()
        if name.endswith("Spawner") and isinstance(section, Mapping)
    ]
    return [section for _, section in sorted(sections, key=lambda one: one[0] != "KubeSpawner")]


def _namespaces(section: Mapping[str, Any]) -> Iterator[str]:
    if section.get("enable_user_namespaces") is True:
        template = section.get("user_namespace_template", USER_NAMESPACE_TEMPLATE)
        if isinstance(template, str):
            yield _pattern(template)
    elif "namespace" in section and isinstance(section["namespace"], str):
        yield section["namespace"]


def _pattern(template: str) -> str:
    """What all namespaces have in common that are made by a template of KubeSpawner."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return "*"  # KubeSpawner will not take it either
    return "".join(
        text + ("" if name is None else _hub_namespace() if name == "hubnamespace" else "*")
        for text, name, _, _ in parts
    )


def kubespawners_namespace() -> str:
    """What KubeSpawner takes for the namespace that it is in."""
    try:
        return Path(POD_NAMESPACE_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        return "default"


def _hub_namespace() -> str:
    """What KubeSpawner writes for it in templates."""
    namespace = kubespawners_namespace()
    return "user" if namespace == "default" else namespace
