"""Work that must end does end, even if it loses its first cancellation."""

import asyncio
from functools import partial

import pytest

from shared.service.tasks import Stopped, cancel_until_done, first_completed, unless_stopped, within


class Stubborn:
    """Work that loses the first cancellations, as the SDK can."""

    def __init__(self, times):
        self.left = times
        self.is_over = False

    async def work(self):
        try:
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if not self.left:
                        raise
                    self.left -= 1
        finally:
            self.is_over = True


async def test_a_lost_cancellation_is_repeated():
    """A task that goes on after the first cancellation is cancelled again until it ends."""
    stubborn = Stubborn(1)
    task = asyncio.create_task(stubborn.work())
    await asyncio.sleep(0)
    await cancel_until_done(task)
    assert stubborn.is_over
    assert task.cancelled()


async def test_work_has_ended_after_its_timeout():
    """Work has ended once TimeoutError is raised, even if it lost the first cancellation."""
    stubborn = Stubborn(1)
    with pytest.raises(TimeoutError):
        await within(0.01, stubborn.work())
    assert stubborn.is_over


async def test_a_result_in_time_is_returned():
    """Work that ends in time gives its result or its exception."""

    async def fails():
        raise LookupError("not there")

    async def answers():
        return 7

    assert await within(30, answers()) == 7
    with pytest.raises(LookupError, match="not there"):
        await within(30, fails())


async def test_a_result_during_the_cancellation_counts():
    """Work that returns while it is being cancelled gives its result."""

    async def answers_late():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done"

    assert await within(0.01, answers_late()) == "done"


async def test_a_stop_surely_ends_the_work():
    """Work has ended once Stopped is raised, even if it lost the first cancellation."""
    stubborn, stop = Stubborn(1), asyncio.Event()
    serving = asyncio.create_task(unless_stopped(stop, stubborn.work()))
    await asyncio.sleep(0)
    assert not stubborn.is_over
    stop.set()
    with pytest.raises(Stopped):
        await serving
    assert stubborn.is_over


async def test_a_result_before_the_stop_is_returned():
    """Work that ends before the stop, or together with it, gives its result or its exception."""
    stop = asyncio.Event()

    async def fails():
        raise LookupError("not there")

    async def answers():
        stop.set()
        return 7

    with pytest.raises(LookupError, match="not there"):
        await unless_stopped(stop, fails())
    assert await unless_stopped(stop, answers()) == 7


async def test_a_stop_keeps_the_failure_of_its_work():
    """Work that fails while it is stopped gives Stopped, with its exception as the cause."""
    stop = asyncio.Event()
    stop.set()

    async def fails_to_close():
        try:
            await asyncio.Event().wait()
        finally:
            raise LookupError("not there")

    with pytest.raises(Stopped) as stopped:
        await unless_stopped(stop, fails_to_close())
    assert isinstance(stopped.value.__cause__, LookupError)


@pytest.mark.parametrize("bounded", [partial(within, 3_600), partial(unless_stopped, asyncio.Event())])
async def test_a_cancelled_caller_leaves_nothing_running(bounded):
    """A cancellation of the caller ends the work, too."""
    stubborn = Stubborn(0)
    outer = asyncio.create_task(bounded(stubborn.work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cancel_until_done(outer)
    assert outer.cancelled()
    assert stubborn.is_over


async def test_the_first_to_complete_ends_the_others():
    """A failure cancels the others; nothing is left waiting."""
    cancelled = asyncio.Event()

    async def wait_for_ever():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def fail():
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        await first_completed(wait_for_ever(), fail())
    assert cancelled.is_set()
