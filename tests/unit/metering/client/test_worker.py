"""Work beside the event loop: one thing at a time, in a thread, and what is forgotten there."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from jupyterhub_usage_quotas.metering.client.worker import free_in_worker, run_in_worker


async def test_the_loop_goes_on_meanwhile():
    """The work ends when the loop says so, which it could not if it waited."""
    may_end = threading.Event()
    working = asyncio.create_task(run_in_worker(may_end.wait, 30))
    await asyncio.sleep(0)
    may_end.set()
    assert await working is True


async def test_one_thing_at_a_time():
    running, most = [], []

    def work(number: int) -> int:
        running.append(number)
        most.append(len(running))
        running.remove(number)
        return number

    assert await asyncio.gather(*(run_in_worker(work, number) for number in range(50))) == [
        *range(50)
    ]
    assert max(most) == 1
    assert len({await run_in_worker(threading.get_ident) for _ in range(5)}) == 1
    assert await run_in_worker(threading.get_ident) != threading.get_ident()


async def test_what_goes_wrong_is_raised_and_the_next_is_done():
    with pytest.raises(ZeroDivisionError):
        await run_in_worker(lambda: 1 / 0)
    assert await run_in_worker(lambda: "done") == "done"


@pytest.mark.parametrize("enabled", [True, False])
async def test_garbage_is_not_looked_for_meanwhile(enabled):
    gc.enable() if enabled else gc.disable()
    try:
        assert await run_in_worker(gc.isenabled) is False
        with pytest.raises(ZeroDivisionError):
            await run_in_worker(lambda: 1 / 0)
        assert gc.isenabled() is enabled
    finally:
        gc.enable()


async def test_what_is_let_go_of_is_freed_in_the_thread():
    freed_in = []

    class Thing:
        def __del__(self) -> None:
            freed_in.append(threading.get_ident())

    things = [Thing()]
    await free_in_worker(things)
    assert freed_in == [await run_in_worker(threading.get_ident)]
