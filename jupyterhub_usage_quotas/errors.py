"""The exceptions of this package, as one tree.

Faults of the rules themselves (`quotas.faults.InvalidPolicies`, `quotas.units.InvalidQuantity`)
are ValueErrors of the pure core; they become a `ConfigurationError` where configuration is read.
What is raised to deny a launch is an exception of JupyterHub's kind: see `hub/denial.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from traitlets import TraitError


class UsageQuotasError(Exception):
    """Anything that this package raises on purpose."""


class ConfigurationError(UsageQuotasError, TraitError):
    """The configuration is wrong; `faults` has a line for every fault, the message all of them.

    It is a TraitError so that traitlets applications show it without a traceback.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        lines = "".join(f"\n  - {fault}" for fault in faults)
        super().__init__(f"The configuration of usage quotas has {count}:{lines}")
        self.faults = tuple(faults)


class DatabaseUnreadable(UsageQuotasError):
    """The Hub's database is not there, or cannot be read."""


class PrometheusError(UsageQuotasError):
    """Prometheus did not give an answer that can be trusted.

    `reason` is one word of the bounded set below, for metrics and logs; the message says more.
    """

    reason = "prometheus_error"


class PrometheusUnreachable(PrometheusError):
    """No connection, or it broke."""

    reason = "unreachable"


class PrometheusTimeout(PrometheusError):
    """No answer in time."""

    reason = "timeout"


class PrometheusUnauthorized(PrometheusError):
    """It refuses our credentials (401 or 403)."""

    reason = "unauthorized"


class PrometheusUnavailable(PrometheusError):
    """It says that it cannot answer now (429 or 5xx)."""

    reason = "unavailable"


class QueryRejected(PrometheusError):
    """It does not accept the query (other 4xx, or an error in the answer)."""

    reason = "query_rejected"


class ServersUnknown(QueryRejected):
    """It cannot be asked about users' pods, because it is not known what those are called."""

    reason = "servers_unknown"


class BadAnswer(PrometheusError):
    """The answer is not what Prometheus sends: HTML, truncated JSON, another shape, NaN."""

    reason = "bad_answer"


class PartialAnswer(PrometheusError):
    """The answer carries warnings, so it may be incomplete."""

    reason = "partial_answer"
