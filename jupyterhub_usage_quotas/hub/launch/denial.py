"""Denying a launch so that JupyterHub shows the message and does not count it as a failure.

Trying it out (JupyterHub 5.5 and 6.1) showed what to raise: an exception of the
Hub's own kind that carries `jupyterhub_message`, `jupyterhub_html_message` and `headers` is
shown on the first page, the pending page, in the REST answer and in the progress event.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NoReturn

from tornado.web import HTTPError

from ...conventions import SPAWN_FAILURE_REASON
from ...errors import UsageQuotasError
from ...status.chip import ANY_SERVER, Starts
from ..types import HubSpawner
from .message import Message

try:
    from jupyterhub.spawner import SpawnException
except ImportError:  # JupyterHub 5
    SpawnException = None


class LaunchDenied(UsageQuotasError, SpawnException or HTTPError):  # type: ignore[misc]
    """A launch that is denied by a quota, or because usage is not known.

    Carries what every place in JupyterHub that shows a failed spawn looks for.
    """

    def __init__(
        self, message: Message, status: int, log: str, retry_after: timedelta | None
    ) -> None:
        """Deny with a message, an HTTP status, a line for the log, and the time to wait, if any."""
        if SpawnException is None:
            # Its REST answers have no other place for the text than the log message.
            super().__init__(status, message.text)
        else:
            super().__init__(  # type: ignore[call-arg] # the Hub's class, which has no types
                message.text,
                reason=SPAWN_FAILURE_REASON,
                log_message=log,
                message_html=message.html,
                status_code=status,
            )
        self.jupyterhub_message = message.text
        self.jupyterhub_html_message = message.html
        self.usage_quota_heading = message.heading
        self.usage_quota_alternatives: Sequence[object] = ()
        """Alternatives to the denied launch, for the page that shows the denial."""
        self.usage_quota_starts: Starts = ANY_SERVER
        """From when on each quota that denied it would not, for the header of that page."""
        self.usage_quota_retry_time: datetime | None = None
        """From when on the same launch would not be denied."""
        self.headers: dict[str, str] = {}
        if retry_after is not None:
            # Rounded up: a client that waits exactly so long must not be early.
            self.headers["Retry-After"] = str(math.ceil(retry_after.total_seconds()))


def deny(denial: LaunchDenied, spawner: HubSpawner) -> NoReturn:
    """Raise a denial, and keep it from counting as a failure of the Hub."""
    if SpawnException is None:
        _do_not_count(spawner)
    raise denial


def _do_not_count(spawner: HubSpawner) -> None:
    """Keep JupyterHub 5 from counting this spawn towards `consecutive_failure_limit`.

    It counts every exception, in a callback of the spawn's future, and compares with this
    spawner's limit there. So the limit is lifted for this spawn, and the count taken back by a
    callback that runs right after: nothing comes between the two, whatever other spawns do.
    JupyterHub 6 does not count policy failures in the first place.
    """
    handler, future = spawner.handler, spawner._spawn_future
    if handler is None or future is None or future.done():
        return
    limit = spawner.consecutive_failure_limit

    def take_back(_future: object) -> None:
        settings = handler.settings
        settings["failure_count"] = max(settings.get("failure_count", 0) - 1, 0)
        spawner.consecutive_failure_limit = limit

    spawner.consecutive_failure_limit = 0
    future.add_done_callback(take_back)


class NotAFailure(logging.Filter):
    """Drops the complaint of asyncio that a denial "was never retrieved".

    JupyterHub leaves the task of a spawn alone that takes longer than a second; what came of it
    is shown on the pending page.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let pass what is not about a denial."""
        return not (record.exc_info and isinstance(record.exc_info[1], LaunchDenied))


class NoTraceback(logging.Filter):
    """Takes the traceback off log records about a denied launch: it is not a failure.

    JupyterHub logs one for every exception raised on the way from the options form.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if record.exc_info and (
            isinstance(record.exc_info[1], LaunchDenied) or record.exc_info[1] is None
        ):
            # `log.exception` outside of an except block has no traceback, only "NoneType: None".
            record.exc_info = None
        return True
