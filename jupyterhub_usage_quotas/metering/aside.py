"""Work that is done beside the event loop, so that what else runs on it goes on."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def aside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of work that is done in a thread.

    Reading a large answer makes many objects, which makes Python's garbage collector look through
    all objects of the process, and that stops all threads. None of them is garbage that only it
    would find, so it has to wait. (With ten thousand users the longest stop was 60 ms, and is 15.)
    """

    def undisturbed() -> T:
        with _no_collection():
            return work(*args, **kwargs)

    return await asyncio.to_thread(undisturbed)


class _Pauses:
    lock = threading.Lock()
    running = 0
    was_enabled = True


@contextmanager
def _no_collection() -> Iterator[None]:
    with _Pauses.lock:
        if not _Pauses.running:
            _Pauses.was_enabled = gc.isenabled()
            gc.disable()
        _Pauses.running += 1
    try:
        yield
    finally:
        with _Pauses.lock:
            _Pauses.running -= 1
            if not _Pauses.running and _Pauses.was_enabled:
                gc.enable()
