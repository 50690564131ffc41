"""Declaring the cost monitor to the Hub, where its option says so: the service, its role, and its
configuration.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import Any, Final

from .. import conventions as names
from ..config.costs import CostMonitor, cost_monitor_remarks, make_cost_monitor
from ..config.usage import UsageConfig
from ..errors import ConfigurationError
from .launch.enforcement import UsageQuotaManager
from .types import HubApp

SECTION: Final = CostMonitor.__name__
SECRETS: Final = frozenset({"token"})
"""Options that only the cost monitor itself gets."""
NEEDED_SCOPES: Final = ("list:users", "read:users:name", "read:users:groups")
"""With these it notes who is in which groups."""


def costs_of(config: Mapping[str, Any], *, secrets: bool = False) -> dict[str, dict[str, Any]]:
    """The section about costs, for a service that the Hub runs; none where there is none."""
    section = config.get(SECTION, {})
    kept = {name: value for name, value in section.items() if secrets or name not in SECRETS}
    return {SECTION: kept} if kept else {}


def is_cost_monitor(spec: Mapping[str, Any]) -> bool:
    """Whether a service is the cost monitor: by its name, or by what it runs."""
    command = spec.get("command") or []
    parts = [command] if isinstance(command, str) else [str(part) for part in command]
    return spec.get("name") == names.COST_MONITOR_SERVICE or any(
        names.COST_MONITOR_MODULE in part for part in parts
    )


def declare_cost_monitor(app: HubApp, manager: UsageQuotaManager, handed_over: Any) -> list[str]:
    """Make the cost monitor a service of the Hub `app`, if that is wanted; returns lines for the
    admin. `handed_over` makes variables of the environment of sections of a configuration.

    Raises `ConfigurationError` with the errors of its options.
    """
    if app.config.get(SECTION, {}).get("enabled") is not True:
        return []
    if not make_cost_monitor(app.config).ledger_url:
        what = f"{SECTION}.enabled: costs are kept in the ledger's database, and there is none"
        raise ConfigurationError([f"{what}; set UsageConfig.ledger_url"])
    lines = cost_monitor_remarks(app.config)
    services = [copy.copy(dict(spec)) for spec in app.services]
    ours = next((spec for spec in services if is_cost_monitor(spec)), None)
    if ours is None:
        command = [sys.executable, "-m", names.COST_MONITOR_MODULE]
        ours = {"name": names.COST_MONITOR_SERVICE, "command": command}
        services.append(ours)
    if ours.get("command"):
        shared = UsageConfig.class_trait_names(config=True)
        sections = {UsageConfig.__name__: {name: getattr(manager, name) for name in shared}}
        sections |= costs_of(app.config, secrets=True)
        # Behind the proxy it listens where that expects it.
        sections[SECTION]["enabled"] = not ours.get("url")
        handed = handed_over(sections)
        ours["environment"] = handed | dict(ours.get("environment") or {})
    app.services = services
    roles = [copy.copy(dict(role)) for role in app.load_roles]
    if not any(role.get("name") == names.COST_MONITOR_ROLE for role in roles):
        roles.append(
            {
                "name": names.COST_MONITOR_ROLE,
                "description": "List users and their groups, to say what groups cost",
                "scopes": sorted(NEEDED_SCOPES),
                "services": [ours["name"]],
            }
        )
        app.load_roles = roles
    return lines
