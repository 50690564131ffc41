"""When a server starts and ends, noted in that moment by wrapping what the Hub calls then.

It calls `start_polling` once a spawner has started its server, and `run_post_stop_hook` once that
is stopped, or was found to be gone; `clear_state` follows, and is called first by spawners that
find out themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..launch.logged_once import LOGGED
from ..types import HubSpawner

Note = Callable[[HubSpawner], None]
_WRAPPED = "_usage_quota_sessions"


def note_start_and_end(spawner: HubSpawner, started: Note, ended: Note) -> None:
    """Call `started` when a spawner has started its server, and `ended` when that is gone."""
    if hasattr(spawner, _WRAPPED):
        return
    setattr(spawner, _WRAPPED, True)
    start_polling, run_post_stop_hook = spawner.start_polling, spawner.run_post_stop_hook
    clear_state = spawner.clear_state

    def polling() -> Any:
        _safely(started, spawner)
        return start_polling()

    def stopped() -> Any:
        _safely(ended, spawner)
        return run_post_stop_hook()

    def cleared() -> None:
        _safely(ended, spawner)
        clear_state()

    spawner.start_polling, spawner.run_post_stop_hook = polling, stopped
    spawner.clear_state = cleared


def _safely(note: Note, spawner: HubSpawner) -> None:
    try:
        note(spawner)
    except Exception:
        # The server starts, or stops, whatever becomes of our record of it.
        LOGGED.exception(
            spawner.log,
            "A start or an end of a server could not be recorded; report it, until the next"
            " heartbeat its usage is not exact",
        )
