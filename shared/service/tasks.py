"""Tasks that surely end when they are cancelled, and the first of several to complete.

A single cancellation can get lost: before Python 3.12 `asyncio.wait_for`, through which the SDK reads every
frame, drops one that arrives together with the result, and the cancelled task goes on.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_CANCEL_AGAIN_S = 1.0


async def first_completed(*coroutines: Coroutine[Any, Any, T]) -> T:
    """Return or raise what the first coroutine to end does; the others are cancelled."""
    tasks = [asyncio.create_task(one) for one in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return next(task for task in tasks if task in done).result()


async def cancel_until_done(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it has ended. Its exception is not raised."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_AGAIN_S)
    if not task.cancelled():
        task.exception()  # marks it as retrieved, so that asyncio does not warn


class Stopped(Exception):
    """A stop came before the work was done; its cause is what the work raised while ending, if anything."""


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """Run `work` and return its result, or raise its exception.

    Raises Stopped if `stop` is set first, once `work` has surely ended.
    """
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        is_done = task.done()
    finally:
        stopping.cancel()
        await cancel_until_done(task)
    if is_done:
        return task.result()
    raise Stopped from (None if task.cancelled() else task.exception())


async def within(timeout_s: float, work: Coroutine[Any, Any, T]) -> T:
    """Run `work` under a timeout; it has surely ended once this returns or raises.

    Raises TimeoutError if it did not end by itself in time.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([task], timeout=timeout_s)
        is_in_time = task.done()
    finally:
        await cancel_until_done(task)
    if is_in_time or not task.cancelled():
        return task.result()
    raise TimeoutError
