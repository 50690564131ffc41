"""What every gauge is configured by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..metering.sources.base import GaugeSource


@dataclass(frozen=True, slots=True)
class GaugeKind:
    """What makes the source of a gauge of the options, None where it is switched off; and the
    option that does that.
    """

    make: Callable[[Any], GaugeSource | None]
    switch: str
