"""The `pre_spawn_hook` that decides on a launch; it wraps the hook that was configured before."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from ..types import HubSpawner

_MARK = "_is_usage_quota_hook"

Hook = Callable[[HubSpawner], object]


def quota_hook(inner: Hook | None, check_launch: Callable[[HubSpawner], Awaitable[None]]) -> Hook:
    """A hook that runs `inner` (sync or async, or None) and then checks the launch.

    The admin's hook comes first because it may change what the server asks for. It is a plain
    function: traitlets copies configured values for every spawner, and functions are not copied.
    """

    async def pre_spawn_hook(spawner: HubSpawner) -> None:
        hook = inner if inner is not None else _default_hook(spawner)
        if hook is not None:
            result = hook(spawner)
            if inspect.isawaitable(result):
                await result
        await check_launch(spawner)

    setattr(pre_spawn_hook, _MARK, True)
    return pre_spawn_hook


def wrapped_by_us(hook: object) -> bool:
    """Whether a configured hook is one of ours."""
    return getattr(hook, _MARK, False)


def _default_hook(spawner: HubSpawner) -> Hook | None:
    """The hook that the spawner class itself comes with, which a configured one replaces."""
    hook = spawner.trait_defaults("pre_spawn_hook")
    return hook if callable(hook) else None
