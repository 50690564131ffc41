"""The terms of the Hubs of this process: where the mixins find those of theirs."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from .terms import CreditTerms

RUNNING: MutableMapping[Any, CreditTerms] = WeakKeyDictionary()
"""By Hub; none where credits are off."""
