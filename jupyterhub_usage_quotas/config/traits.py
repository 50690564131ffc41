"""Traits that traitlets does not have: numbers with bounds, names in Kubernetes; and what patterns
of such names must not be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Float, Int, TraitError, Undefined, Unicode

from ..quotas.messages import wrong
from ..quotas.policy.patterns import broken, is_a_pattern
from ..quotas.resource import is_called

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DEVICE = re.compile(r"[-a-z0-9.*?\[\]!]+/[-\w.*?\[\]!]+", re.ASCII)
"""A pattern of the names that Kubernetes has for devices: a domain, and a name in it."""
_ANY_DEVICE = re.compile(r"[-\w.*?\[\]!]+", re.ASCII)
"""One that leaves the slash to a `*` or a `?`."""
_PLACEHOLDER = re.compile(r"<[^<>]*>")


class Anything(AnyTrait):
    """A value that is checked where it is used. Unlike traitlets' own, it is also None that is."""

    allow_none = False
    # With traitlets' own, which is None, it would be no change that None is set, nor validated.
    default_value = Undefined


class Seconds(Float[float, Any]):
    """A number of seconds from `low` to `high`; or 0, where `or_zero`."""

    def __init__(
        self, default: float, low: float, high: float, *, or_zero: bool = False, **kwargs: Any
    ) -> None:
        self._low, self._high, self._or_zero = low, high, or_zero
        super().__init__(default, **kwargs)

    def info(self) -> str:
        """What is expected, for messages."""
        zero = "0, or " if self._or_zero else ""
        return f"{zero}a number of seconds from {self._low:g} to {self._high:g}"

    def validate(self, _obj: Any, value: Any) -> float:
        """A number within the bounds."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # Compared before it is made a float: an integer may be beyond all floats.
        if is_number and (self._low <= value <= self._high or (self._or_zero and value == 0)):
            return float(value)
        raise TraitError(wrong(got=value, expected=self.info()))


class WholeNumber(Int[int, Any]):
    """A whole number from `low` to `high`."""

    def __init__(self, default: int, low: int, high: int, what: str, **kwargs: Any) -> None:
        self._low, self._high, self._what = low, high, what
        super().__init__(default, **kwargs)

    def info(self) -> str:
        """What is expected, for messages."""
        return f"{self._what} from {self._low} to {self._high}"

    def validate(self, _obj: Any, value: Any) -> int:
        """A number within the bounds; what is neither is refused, True too."""
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if is_whole and self._low <= value <= self._high:
            return int(value)
        raise TraitError(wrong(got=value, expected=self.info()))


class Namespace(Unicode[str, Any]):
    """The name of a Kubernetes namespace, or empty; or a place that is still to be filled in."""

    def info(self) -> str:
        """What is expected, for messages."""
        return "a Kubernetes namespace: at most 63 lower-case letters, digits and dashes"

    def validate(self, _obj: Any, value: Any) -> str:
        """A name that a namespace can have."""
        if isinstance(value, str) and (
            not value or _NAMESPACE.fullmatch(value) or is_placeholder(value)
        ):
            return value
        raise TraitError(wrong(got=value, expected=self.info()))


def is_placeholder(value: object) -> bool:
    """Whether a text is one of an example, as "<k8s-hub-namespace>": to be replaced."""
    return isinstance(value, str) and bool(_PLACEHOLDER.search(value))


def why_of_no_device(pattern: str, others: Iterable[str]) -> str:
    """Why a pattern of what Kubernetes calls devices cannot be meant, which must not match the
    names of `others`; empty where it can.
    """
    if why := broken(pattern):
        return why
    called = (one for name in others for one in (name, re.sub(r"\W", "_", name)))
    if caught := [name for name in called if is_called(name, [pattern])]:
        return f"pattern that counts {', '.join(caught)} as GPUs"
    if _DEVICE.fullmatch(pattern) or (is_a_pattern(pattern) and _ANY_DEVICE.fullmatch(pattern)):
        return ""
    return "matches no device, which is called by a domain in lower case, a slash and a name"
