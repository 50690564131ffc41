"""Earlier spellings: what deployments of 2i2c's package of the same name have written.

Its versions 0.1.4 and 0.2.1, and the ones before as far as their documentation goes, are understood
as written. What has another name today is taken as that; what is no longer needed has no effect.
The admin gets one line about either.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from traitlets.config import Config

from ...conventions import HOME_LIMIT, HOME_SIZE
from ...quotas.messages import shown

MANAGER = "UsageQuotaManager"
VIEWER = "UsageViewer"

SECTIONS: Mapping[str, str] = MappingProxyType(
    {"UsageQuotaConfig": MANAGER, "UsageViewerConfig": VIEWER, "UsageQuotaViewer": VIEWER}
)
"""Sections that have another name today; the last is a slip in published examples."""

RENAMED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        MANAGER: {"scope_fallback_strategy": "scope_backup_strategy"},
        VIEWER: {
            "secret_session_key": "session_secret_key",
            "hub_template_paths": "template_paths",
            "enable_home_storage": "home_storage",
        },
    }
)
"""Options that have another name today, by section."""

NOT_WORTH_A_LINE = frozenset({"scope_fallback_strategy"})
"""Earlier names that are accepted without a line about them."""

_OF_LOGS = "c.JupyterHub.log_level sets how much is logged"

NO_LONGER_NEEDED: Mapping[str, str] = MappingProxyType(
    {
        "prometheus_emit_interval": "metrics are made when they are scraped",
        "prometheus_emit_namespace": "the names of the metrics are fixed",
        "prometheus_usage_metrics": "usage_source says which metrics are read",
        "prometheus_usage_quota_metrics": "the dashboard computes usage itself",
        "escape_username_scheme": "usage is keyed on the username, not on names of pods;"
        " home_storage_directory says how home directories are named",
        "escape_username_safe_scheme": "usage is keyed on the username, not on names of pods",
        "metrics_exporter_token": "the Hub exports its metrics itself",
        "hub_url": "the Hub knows its own address",
        "hub_api_url": "the Hub tells its services its address",
        "hub_api_token": "the Hub gives its services their tokens",
        "public_hub_url": "the dashboard links to the Hub on the host on which it was opened",
        "dev_mode": "made-up usage is shown by `jupyterhub-usage-quotas demo`",
        "config_file": "a service is given files with --config-files",
        "config_files": "a service is given files with --config-files",
        "log_level": _OF_LOGS,
        "log_format": _OF_LOGS,
        "log_datefmt": _OF_LOGS,
        "logging_config": _OF_LOGS,
        "show_config": "`jupyterhub --show-config` shows the configuration",
        "show_config_json": "`jupyterhub --show-config-json` shows the configuration",
    }
)
"""Options that are accepted and needed no more, and why. A few values of them stand for an option
of today: `_taken_as`.
"""


def _taken_as(section: str, name: str, value: Any) -> tuple[str, Any] | None:
    """The option of today that a value of an earlier one stands for, and its value, if any."""
    match name, value:
        case "metrics_exporter_token", _ if section == MANAGER:
            # A deployment with its exporter has dashboards and alerts for what that exports.
            return "earlier_metrics", True
        case "escape_username_scheme", {"directory": "safe"}:
            return "home_storage_directory", "safe"
        case (
            "prometheus_usage_quota_metrics",
            {"home_storage": {"usage": str(size), "quota": str(limit)}},
        ) if (size, limit) != (HOME_SIZE, HOME_LIMIT):
            return "home_storage_metrics", {"size": size, "limit": limit}
        case _:
            return None


def spelling_of_today(section: str, name: str) -> str:
    """The name that an option of a section has today."""
    return RENAMED.get(section, {}).get(name, name)


def understood(config: Mapping[str, Any]) -> Config:
    """The configuration in the spelling of today, without what has no effect. A copy."""
    # Options that are objects are shared with the original, as traitlets' own copies do.
    copied = copy.deepcopy(config if isinstance(config, Config) else Config(config))
    for earlier, section in SECTIONS.items():
        if earlier in copied:
            for name, value in copied.pop(earlier).items():
                copied[section].setdefault(name, value)
    for section in ("UsageConfig", MANAGER, VIEWER):
        if section not in copied:
            continue
        options = copied[section]
        for name in list(options):
            today = spelling_of_today(section, name)
            if name in NO_LONGER_NEEDED:
                if taken := _taken_as(section, name, options.pop(name)):
                    options.setdefault(*taken)
            elif today != name:
                options.setdefault(today, options.pop(name))
    return copied


def merge_later(config: Config, later: Config) -> None:
    """Merge what was read later into a configuration: it takes precedence, by whatever name."""
    for section in ("UsageConfig", MANAGER, VIEWER):
        before = config.get(section, {})
        for name, value in _options_in(later, section).items():
            today = spelling_of_today(section, name)
            taken = _taken_as(section, name, value)
            others = [earlier for earlier, one in RENAMED.get(section, {}).items() if one == today]
            for same in (today, *others, *(taken[:1] if taken else ())):
                before.pop(same, None)
    config.merge(later)


def remarks_on_spelling(config: Mapping[str, Any], section: str) -> Iterator[str]:
    """A line for everything in a section that is written in an earlier spelling."""
    for earlier, today in SECTIONS.items():
        if today == section and earlier in config:
            yield f"c.{earlier} is taken as c.{section}, its current name"
    for name, value in _options_in(config, section).items():
        today = spelling_of_today(section, name)
        why = NO_LONGER_NEEDED.get(name)
        if why and (taken := _taken_as(section, name, value)):
            yield f"{section}.{name} is taken as {taken[0]} = {shown(taken[1])}: {why}"
        elif why:
            yield f"{section}.{name} is no longer needed and has no effect: {why}"
        elif today != name and name not in NOT_WORTH_A_LINE:
            yield f"{section}.{name} is taken as {today}, its current name"


def said_twice(config: Mapping[str, Any], section: str) -> Iterator[str]:
    """An error for every option that is set under two names."""
    names = _options_in(config, section)
    for earlier, today in RENAMED.get(section, {}).items():
        if {earlier, today} <= set(names):
            yield f"{section}.{earlier}: deprecated alias of {today}; set only one of the two"


def _options_in(config: Mapping[str, Any], section: str) -> dict[str, Any]:
    earlier = [name for name, today in SECTIONS.items() if today == section]
    found: dict[str, Any] = {}
    for one in (*earlier, section):
        found |= config.get(one, {})
    return found
