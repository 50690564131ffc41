"""The exceptions of this package, as one tree.

    UsageQuotasError
    ├── ConfigurationError         what the admin wrote is wrong (a TraitError)
    ├── UsageUnknown               usage could not be read; `reason` is for metrics
    │   ├── PodOwnersUnknown       servers_unknown
    │   ├── SessionLogUnavailable  ledger_unavailable
    │   └── PrometheusError        no answer of Prometheus that can be trusted
    │       ├── PrometheusUnreachable    unreachable
    │       ├── PrometheusTimeout        timeout
    │       ├── PrometheusUnauthorized   unauthorized
    │       ├── PrometheusUnavailable    unavailable
    │       ├── QueryRejected            query_rejected
    │       ├── BadAnswer                bad_answer
    │       └── PartialAnswer            partial_answer
    ├── DatabaseUnreadable         the Hub's database does not answer
    ├── HubUnavailable             the Hub's API does not answer
    ├── LedgerError
    │   ├── LedgerUnavailable      the ledger's store does not answer
    │   │   └── LedgerNewer              its tables are those of a newer version
    │   └── AdjustmentRefused      a person's decision cannot be written
    │       ├── InvalidAdjustment        a ValueError
    │       ├── UnknownAdjustment        a LookupError
    │       ├── AlreadyVoided
    │       ├── TooMuchGiven             more than somebody who is no admin may give
    │       └── KeyReused
    ├── LaunchDenied               in `hub.launch.denial`; an exception of JupyterHub's kind, too
    ├── OptionsRefused             in `hub.launch.request`; the spawner's own exception is its cause
    ├── PriceUnknown               in `hub.launch.prices`; a function of the admin's failed
    │   └── NobodyPays             in `hub.launch.prices`; no credits are for such a server
    ├── TermsUnknown               in `hub.launch.prices`; the same
    ├── HubApiFailed               in `hub.guard.hub_api`; a server was not stopped
    ├── NotTaken                   in `hub.guard.targets`; a notice is sent again
    ├── Unwritable                 in `hub.credits.writing`; a ValueError
    ├── InvalidCredits             in `config.credits.values`; a ValueError
    ├── CostsUnknown               in `costs.sources.base`; `state` is for metrics
    ├── CheckpointNotUsable        in `metering.checkpoint`; the history is read again
    ├── InvalidText                in `metering.client.promql`; a ValueError
    ├── InvalidLedgerUrl           in `ledger.sql.url`; a ValueError
    ├── BadParameter               in `services.web.params`; a ValueError
    ├── Refused                    in `services.web.params`; a request of a service's
    ├── Mistyped                   in `services.viewer.pages.admin.giving`; typed into a form
    ├── TooMuch                    in `services.viewer.trying`; a page cannot wait so long
    └── ProgramFailed              in `demo.processes`

Three are outside, since rules import no exceptions of the package: `InvalidPolicies` and
`InvalidQuantity` of `quotas/`, and `InvalidAmount` of `costs/`, which are ValueErrors. Where a
configuration is read they become lines of a `ConfigurationError`.

Of these, an *error* is a mistake in a configuration or a request; a *failure* is something outside
that did not work. An exception that is not in the tree is a *bug* of ours: it is logged with its
traceback, and failover decides on the launch, with the reason `internal_error`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import ClassVar

from traitlets import TraitError

from .conventions import Reason

__all__ = [
    "AdjustmentRefused",
    "AlreadyVoided",
    "BadAnswer",
    "ConfigurationError",
    "DatabaseUnreadable",
    "HubUnavailable",
    "InvalidAdjustment",
    "KeyReused",
    "LedgerError",
    "LedgerNewer",
    "LedgerUnavailable",
    "PartialAnswer",
    "PodOwnersUnknown",
    "PrometheusError",
    "PrometheusTimeout",
    "PrometheusUnauthorized",
    "PrometheusUnavailable",
    "PrometheusUnreachable",
    "QueryRejected",
    "SessionLogUnavailable",
    "TooMuchGiven",
    "UnknownAdjustment",
    "UsageQuotasError",
    "UsageUnknown",
]


class UsageQuotasError(Exception):
    """Anything that this package raises on purpose, but for the two outside of the tree."""


class ConfigurationError(UsageQuotasError, TraitError):
    """The configuration is wrong; `errors` has a line for every error, the message all of them.

    It is a TraitError so that traitlets applications show it without a traceback.
    """

    def __init__(self, errors: Sequence[str]) -> None:
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        lines = "".join(f"\n  - {error}" for error in errors)
        super().__init__(f"Invalid usage quota configuration ({count}):{lines}")
        self.errors = tuple(errors)


@contextmanager
def all_errors(found: Iterable[str]) -> Iterator[None]:
    """Raise what was found before and what is found within as one `ConfigurationError`, each error
    once; nothing where there is none.
    """
    errors = list(found)
    try:
        yield
    except ConfigurationError as error:
        errors = [*error.errors, *errors]
    if errors:
        raise ConfigurationError(list(dict.fromkeys(errors)))


class UsageUnknown(UsageQuotasError):
    """Usage could not be read.

    `reason` is one word of a bounded set, for metrics and logs; the message says more.
    `counts_against_prometheus` says whether it shows that Prometheus is out of order: after several
    such failures it is not queried for a while.
    """

    reason: ClassVar[Reason]
    counts_against_prometheus: ClassVar[bool] = False


class PodOwnersUnknown(UsageUnknown):
    """The users of pods are not known, because the Hub's database cannot be read."""

    reason = Reason.SERVERS_UNKNOWN


class SessionLogUnavailable(UsageUnknown):
    """The session log cannot be read, because its database does not answer."""

    reason = Reason.LEDGER_UNAVAILABLE


class PrometheusError(UsageUnknown):
    """Prometheus did not give an answer that can be trusted."""

    counts_against_prometheus = True


class PrometheusUnreachable(PrometheusError):
    """No connection, or it broke."""

    reason = Reason.UNREACHABLE


class PrometheusTimeout(PrometheusError):
    """No answer in time."""

    reason = Reason.TIMEOUT


class PrometheusUnauthorized(PrometheusError):
    """Prometheus refuses our credentials (401 or 403)."""

    reason = Reason.UNAUTHORIZED


class PrometheusUnavailable(PrometheusError):
    """Prometheus cannot answer now (429 or 5xx)."""

    reason = Reason.UNAVAILABLE


class QueryRejected(PrometheusError):
    """Prometheus does not accept this query (other 4xx, or an error in the answer); it may accept
    others.
    """

    reason = Reason.QUERY_REJECTED
    counts_against_prometheus = False


class BadAnswer(PrometheusError):
    """The answer is not what Prometheus sends: HTML, truncated JSON, another shape, NaN."""

    reason = Reason.BAD_ANSWER


class PartialAnswer(PrometheusError):
    """The answer carries warnings, so it may be incomplete."""

    reason = Reason.PARTIAL_ANSWER


class DatabaseUnreadable(UsageQuotasError):
    """The Hub's database is not there, or cannot be read."""


class HubUnavailable(UsageQuotasError):
    """The Hub's API gave no answer that can be used; the message is for the log."""


class LedgerError(UsageQuotasError):
    """Something about the ledger of adjustments."""


class LedgerUnavailable(LedgerError):
    """The ledger could not be read or written. Nothing was written, or it is not known whether:
    repeat the request with its key.
    """


class LedgerNewer(LedgerUnavailable):
    """A newer version has upgraded the tables of the ledger; this one cannot read them."""


class AdjustmentRefused(LedgerError):
    """An adjustment was not written; the message says why, for the person who made it."""


class InvalidAdjustment(AdjustmentRefused, ValueError):
    """An adjustment has errors; `errors` has a line for every one."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = tuple(errors)


class UnknownAdjustment(AdjustmentRefused, LookupError):
    """The ledger has no adjustment with this id."""


class AlreadyVoided(AdjustmentRefused):
    """The adjustment was voided before."""


class TooMuchGiven(AdjustmentRefused):
    """Somebody who is no admin would give a user more than they may: `most` of a policy at once,
    instead of `limit`, in base units.
    """

    def __init__(self, message: str, *, user: str, policy: str, most: float, limit: float) -> None:
        super().__init__(message)
        self.user = user
        self.policy = policy
        self.most = most
        self.limit = limit


class KeyReused(AdjustmentRefused):
    """The idempotency key belongs to another request than this one.

    `start` is when the first adjustment of that one starts; None where it was a voiding.
    """

    def __init__(self, message: str, start: datetime | None = None) -> None:
        super().__init__(message)
        self.start = start
