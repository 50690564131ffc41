"""What the viewer's handlers work with, beside what every service's do."""

from __future__ import annotations

from dataclasses import dataclass

from ...status.everyone import EveryoneStatuses
from ..web.page_handler import PageContext
from .configuration import Configured


@dataclass(frozen=True, slots=True)
class ViewerContext(PageContext):
    """The viewer's configuration, and where users stand."""

    configured: Configured
    statuses: EveryoneStatuses
