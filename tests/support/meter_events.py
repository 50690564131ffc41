"""Being told of what a meter does."""

from __future__ import annotations

from collections.abc import Callable

from jupyterhub_usage_quotas.metering.events import NoEvents, Refresh
from jupyterhub_usage_quotas.quotas.usage import Unknown


class OnRefresh(NoEvents):
    """Calls a function after every refresh: why it failed, and by which bug of ours."""

    def __init__(self, tell: Callable[[Unknown | None, Exception | None], None]) -> None:
        self._tell = tell

    def refreshed(self, refresh: Refresh) -> None:
        self._tell(refresh.failure, refresh.bug)


class OnRequest(NoEvents):
    """Calls a function after every request: its outcome, and the seconds that it took."""

    def __init__(self, tell: Callable[[str, float], None]) -> None:
        self._tell = tell

    def requested(self, outcome: str, seconds: float) -> None:
        self._tell(outcome, seconds)
