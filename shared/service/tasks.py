"""Helpers that cancel tasks reliably, and that wait for the first of several coroutines.

A single cancellation can get lost: before Python 3.12 `asyncio.wait_for`, through which the SDK reads every
frame, drops a cancellation that arrives together with the result, and the cancelled task goes on.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_CANCEL_AGAIN_S = 1.0


async def first_completed(*coroutines: Coroutine[Any, Any, T]) -> T:
    """Return the result, or raise the exception, of the first coroutine to end; cancel the others."""
    tasks = [asyncio.create_task(one) for one in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return next(task for task in tasks if task in done).result()


async def cancel_until_done(task: asyncio.Task[Any]) -> None:
    """Cancel a task repeatedly until it has ended. The task's exception is not raised."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_AGAIN_S)
    if not task.cancelled():
        task.exception()  # marks it as retrieved, so that asyncio does not warn


class Stopped(Exception):
    """A stop came before the work was done.

    The cause is the exception that the work raised while it was being cancelled, if any.
    """


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """Run `work` and return its result, or raise its exception.

    Raises Stopped if `stop` is set before `work` ends; `work` has then been cancelled and has ended.
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
    """Run `work` for at most `timeout_s` seconds; return its result or raise its exception.

    Raises TimeoutError if the time is up and `work` ends by cancellation. `work` has always ended once this
    function returns or raises.
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
