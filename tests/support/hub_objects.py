"""Users and spawners of a Hub, made up: each has all that we use of a real one (`hub.types`)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from traitlets.config import Config


def hub_user(name: str, *groups: str, **more: Any) -> SimpleNamespace:
    """A user in these groups, without servers unless there are `spawners`."""
    made = {
        "name": name,
        "escaped_name": name,
        "admin": False,
        "created": None,
        "groups": [SimpleNamespace(name=group) for group in groups],
        "spawners": {},
        "spawner": None,
        "db": None,
    }
    return SimpleNamespace(**made | more)


async def no_events() -> AsyncIterator[Any]:
    """The progress of a spawner that says nothing."""
    for event in ():
        yield event


def hub_spawner(name: str = "", **more: Any) -> SimpleNamespace:
    """The spawner of a server that does not run and asks for nothing."""
    made = {
        "name": name,
        "user": None,
        "active": False,
        "pending": None,
        "user_options": {},
        "options_form": "",
        "orm_spawner": None,
        "handler": None,
        "get_state": dict,
        "clear_state": lambda: None,
        "progress": no_events,
        "start_polling": lambda: None,
        "run_post_stop_hook": lambda: None,
        "consecutive_failure_limit": 0,
        "_spawn_future": None,
        "log": logging.getLogger("hub_spawner"),
        "config": Config(),
        "class_trait_names": lambda **_: [],
        "traits": dict,
        "trait_defaults": lambda _: None,
    }
    return SimpleNamespace(**made | more)
