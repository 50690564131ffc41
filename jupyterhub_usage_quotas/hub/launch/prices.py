"""What a server costs, by an admin's functions: credits, at a rate that is fixed when it starts.

A spawner that has no `billing_value` costs what `credit_prices` says.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...config.credits.traits import BillingTraits
from ...config.credits.values import InvalidCredits, number, seconds
from ...errors import UsageQuotasError
from ...quotas.messages import said_by
from ...quotas.resources import CREDITS
from ...quotas.verdict import Request
from ..types import HubSpawner
from .logged_once import LOGGED


class PriceUnknown(UsageQuotasError):
    """What a server costs cannot be worked out: a function of the admin's failed, or returned what
    no server can cost.
    """


class NobodyPays(PriceUnknown):
    """A user has no credits that pay for a server with what is chosen."""


class TermsUnknown(UsageQuotasError):
    """The same of what a user has: of credits, or of another limit that a function gives."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a server costs per second, and how much must be there for it to start."""

    rate: float
    value: float

    def added_to(self, request: Request) -> Request:
        """The request of a server that costs so much."""
        return replace(
            request,
            rates={**request.rates, CREDITS.name: self.rate},
            needs={**request.needs, CREDITS.name: self.value},
        )


async def price_of(spawner: HubSpawner, like: object = None) -> Price | None:
    """What a spawner's server costs, or what it would as `like`, which has other values of some
    traits; None where the spawner does not say so. Raises `PriceUnknown`.
    """
    if not isinstance(spawner, BillingTraits):
        return None
    seen: Any = spawner if like is None else like
    try:
        value = await _said(seen, "billing_value")
        if value is None or number(value, "billing_value") == 0:
            return Price(0.0, 0.0)
        interval = await _said(seen, "billing_interval")
        return Price(float(value) / seconds(interval, "billing_interval"), float(value))
    except InvalidCredits as error:
        raise PriceUnknown(str(error)) from None
    except Exception as error:
        # A function of the admin's can fail in any way.
        raise PriceUnknown(said_by(error)) from error


async def _said(seen: Any, name: str) -> Any:
    value = getattr(seen, name)
    if callable(value):
        value = value(seen)
        if inspect.isawaitable(value):
            value = await value
    return value


async def with_price(spawner: HubSpawner, request: Request, like: object = None) -> Request:
    """A request with its price; where that cannot be worked out, with one that is not known."""
    try:
        price = await price_of(spawner, like)
    except PriceUnknown as error:
        if LOGGED.is_new("billing_value", str(error)):
            spawner.log.warning(
                "What a server costs cannot be worked out for a page: %s; correct billing_value",
                error,
            )
        return of_unknown_price(request)
    return request if price is None else price.added_to(request)


def of_unknown_price(request: Request) -> Request:
    """The request of a server of which it is not known what it costs."""
    return replace(request, unknown=request.unknown | {CREDITS.name})


def may_cost(request: Request) -> bool:
    """Whether a server costs credits, as far as that is known."""
    return request.rates.get(CREDITS.name, 0.0) > 0 or CREDITS.name in request.unknown


class Choosing:
    """A spawner as it would be with a profile, where also what its user chose is that profile."""

    def __init__(self, spawner: Any, options: Mapping[str, Any]) -> None:
        self._spawner = spawner
        self.user_options = dict(options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spawner, name)
