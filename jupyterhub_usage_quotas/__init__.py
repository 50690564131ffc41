"""Usage quotas for JupyterHub.

An admin calls `setup_usage_quotas(c)` in `jupyterhub_config.py`. The rest is for an admin's own
code: an authenticator that calls `UsageQuotaManager.pre_spawn_start`, a ledger, a test of policies.
What is not here may change in any release. docs/reference/python.md has examples.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .conventions import __version__

if TYPE_CHECKING:
    from .errors import (
        AdjustmentRefused,
        AlreadyVoided,
        BadAnswer,
        ConfigurationError,
        DatabaseUnreadable,
        HubUnavailable,
        InvalidAdjustment,
        KeyReused,
        LedgerError,
        LedgerNewer,
        LedgerUnavailable,
        PartialAnswer,
        PodOwnersUnknown,
        PrometheusError,
        PrometheusTimeout,
        PrometheusUnauthorized,
        PrometheusUnavailable,
        PrometheusUnreachable,
        QueryRejected,
        SessionLogUnavailable,
        TooMuchGiven,
        UnknownAdjustment,
        UsageQuotasError,
        UsageUnknown,
    )
    from .hub.launch.denial import LaunchDenied
    from .hub.launch.enforcement import UsageQuotaManager
    from .hub.launch.record import DecisionObserver, DecisionRecord
    from .hub.setup import setup_usage_quotas
    from .ledger.base import NO_LEDGER, Journal, Ledger
    from .ledger.memory import MemoryLedger
    from .ledger.sql.store import SqlLedger
    from .quotas.adjustments import (
        Adjustment,
        Adjustments,
        Exemption,
        Grant,
        Override,
        Voided,
    )
    from .quotas.decide import Decision, Outcome
    from .quotas.policy.errors import InvalidPolicies
    from .quotas.subject import EVERYONE, Subject
    from .quotas.units import InvalidQuantity
    from .quotas.verdict import Request, Verdict

__all__ = [
    "EVERYONE",
    "NO_LEDGER",
    "Adjustment",
    "AdjustmentRefused",
    "Adjustments",
    "AlreadyVoided",
    "BadAnswer",
    "ConfigurationError",
    "DatabaseUnreadable",
    "Decision",
    "DecisionObserver",
    "DecisionRecord",
    "Exemption",
    "Grant",
    "HubUnavailable",
    "InvalidAdjustment",
    "InvalidPolicies",
    "InvalidQuantity",
    "Journal",
    "KeyReused",
    "LaunchDenied",
    "Ledger",
    "LedgerError",
    "LedgerNewer",
    "LedgerUnavailable",
    "MemoryLedger",
    "Outcome",
    "Override",
    "PartialAnswer",
    "PodOwnersUnknown",
    "PrometheusError",
    "PrometheusTimeout",
    "PrometheusUnauthorized",
    "PrometheusUnavailable",
    "PrometheusUnreachable",
    "QueryRejected",
    "Request",
    "SessionLogUnavailable",
    "SqlLedger",
    "Subject",
    "TooMuchGiven",
    "UnknownAdjustment",
    "UsageQuotaManager",
    "UsageQuotasError",
    "UsageUnknown",
    "Verdict",
    "Voided",
    "__version__",
    "setup_usage_quotas",
]

_ELSEWHERE = {
    "hub.launch.denial": ("LaunchDenied",),
    "hub.launch.enforcement": ("UsageQuotaManager",),
    "hub.launch.record": ("DecisionObserver", "DecisionRecord"),
    "hub.setup": ("setup_usage_quotas",),
    "ledger.base": ("NO_LEDGER", "Journal", "Ledger"),
    "ledger.memory": ("MemoryLedger",),
    "ledger.sql.store": ("SqlLedger",),
    "quotas.adjustments": (
        *("Adjustment", "Adjustments", "Exemption", "Grant", "Override", "Voided"),
    ),
    "quotas.decide": ("Decision", "Outcome"),
    "quotas.policy.errors": ("InvalidPolicies",),
    "quotas.subject": ("EVERYONE", "Subject"),
    "quotas.units": ("InvalidQuantity",),
    "quotas.verdict": ("Request", "Verdict"),
}
"""Where names are that are imported when they are first used: a command line that only says its
version, or a ledger, does not wait for JupyterHub. What is not here is in `errors`.
"""


if not TYPE_CHECKING:  # else every name would be there for a type checker

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = (module for module, names in _ELSEWHERE.items() if name in names)
        value: object = getattr(import_module(f".{next(found, 'errors')}", __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
