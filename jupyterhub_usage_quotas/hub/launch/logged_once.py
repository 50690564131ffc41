"""Warnings about what admins wrote, each logged once: it is read at every launch and for every
page, and some of what is wrong with it can be what a user wrote.
"""

from __future__ import annotations

import logging
import sys

from ...quotas.messages import LONGEST_REASON, printable, said_by

MOST = 1000
"""What is wrong in so many places is remembered."""
MOST_REASONS = 10
"""As many different reasons are logged of each."""


class LoggedOnce:
    """Logs what is wrong somewhere when it is new."""

    def __init__(self) -> None:
        self._said: dict[str, set[str]] = {}

    def is_new(self, what: str, why: str) -> bool:
        """Whether to log why something is wrong; from then on that is no longer new."""
        if what not in self._said and len(self._said) >= MOST:
            self._said.clear()
        said = self._said.setdefault(what, set())
        if why in said or len(said) >= MOST_REASONS:
            return False
        said.add(why)
        return True

    def exception(self, log: logging.Logger, line: str, *args: object) -> None:
        """Log the exception that is being handled, with its traceback, once of each kind."""
        if self.is_new(line, type(sys.exception()).__name__):
            log.exception(line, *args)

    def warn(self, log: logging.Logger, what: str, error: object, option: str) -> None:
        """Log why a profile cannot be read, unless that was logged."""
        if isinstance(error, Exception):
            why = said_by(error)
        else:
            why = printable(str(error), LONGEST_REASON)
        if self.is_new(what, why):
            log.warning(
                "The profile %r cannot be read: %s; it is not suggested to users. Correct it in %s",
                what,
                why,
                option,
            )

    def forget(self, what: str) -> None:
        """It can be read: whatever is wrong with it from now on is new."""
        self._said.pop(what, None)


LOGGED = LoggedOnce()
"""Of this process: users' spawners share their profiles."""
