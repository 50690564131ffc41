"""Warnings about profiles, each logged once until it changes: profiles are read at every launch and
for every page.
"""

from __future__ import annotations

import logging

MOST = 1000
"""Warnings that are remembered."""


class LoggedOnce:
    """Logs what is wrong with a profile when it is new, or has changed."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def warn(self, log: logging.Logger, what: str, error: object, option: str) -> None:
        """Log why a profile cannot be read, unless that was logged of it last."""
        why = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else str(error)
        if self._said.get(what) == why:
            return
        if len(self._said) >= MOST:
            self._said.clear()
        self._said[what] = why
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
