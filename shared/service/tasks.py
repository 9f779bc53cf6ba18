"""Ending what runs in a task, for certain.

A cancellation alone can get lost: before Python 3.12 `asyncio.wait_for`, through which the SDK reads every
frame, drops one that comes in the moment of the answer, and what was cancelled then goes on.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_CANCEL_AGAIN_S = 1.0


async def cancel_until_done(task: asyncio.Task[Any]) -> None:
    """Returns once the task has ended, however; what it raised is for whoever looks."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_AGAIN_S)
    if not task.cancelled():
        task.exception()  # nobody may look: asyncio need not complain about that


class Stopped(Exception):
    """A stop came before the work was done; its cause is what the work raised on the way out, if anything."""


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns or raises.

    Raises Stopped where `stop` comes first, once `work` has ended for certain.
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
    """As `asyncio.timeout` around `work`, which has ended for certain once this returns or raises.

    Raises TimeoutError where it had not ended by itself in time.
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
