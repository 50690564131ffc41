"""The worker thread: work beside the event loop, so that the loop is not blocked."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_WORKER = ThreadPoolExecutor(1, "usage-quotas")
"""One thread: threads that compute take turns with the event loop, 5 ms each, so with more of them
the loop would wait longer, and no work would be done sooner.
"""


async def run_in_worker(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of work that is done in a thread, after what was given to it before.

    Reading a large answer makes many objects, which makes Python's garbage collector look through
    all objects of the process, and that stops all threads. None of them is garbage that only it
    would find, so it has to wait.
    """

    def undisturbed() -> T:
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            return work(*args, **kwargs)
        finally:
            if was_enabled:
                gc.enable()

    return await asyncio.get_running_loop().run_in_executor(_WORKER, undisturbed)


async def free_in_worker(things: list[Any]) -> None:
    """Free the objects in a list. Freeing many would block the event loop, so it happens in the
    worker. The caller must hold no other reference.
    """
    await run_in_worker(things.clear)
