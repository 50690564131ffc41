"""How a gauge is configured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..metering.sources.base import GaugeSource


@dataclass(frozen=True, slots=True)
class GaugeKind:
    """Of which resource it is, what makes its source of the options (None where it is switched
    off), and the option that switches it off.
    """

    resource: str
    make: Callable[[Any], GaugeSource | None]
    switch: str
