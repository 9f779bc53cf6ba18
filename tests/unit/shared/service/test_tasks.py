"""Work that has to end: it does, even where it swallows its cancellation."""

import asyncio
from functools import partial

import pytest

from shared.service.tasks import Stopped, cancel_until_done, unless_stopped, within


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
    """The task ends, though it went on after the first cancellation."""
    stubborn = Stubborn(1)
    task = asyncio.create_task(stubborn.work())
    await asyncio.sleep(0)
    await cancel_until_done(task)
    assert stubborn.is_over
    assert task.cancelled()


async def test_what_was_bounded_has_ended():
    """Once the time is up it does nothing more: not even where it lost the first cancellation."""
    stubborn = Stubborn(1)
    with pytest.raises(TimeoutError):
        await within(0.01, stubborn.work())
    assert stubborn.is_over


async def test_an_end_in_time_is_handed_on():
    """What was returned is returned, what was raised is raised."""

    async def fails():
        raise LookupError("not there")

    async def answers():
        return 7

    assert await within(30, answers()) == 7
    with pytest.raises(LookupError, match="not there"):
        await within(30, fails())


async def test_an_answer_to_the_cancellation_counts():
    """What came to its end while it was being cancelled was done, and says so."""

    async def answers_late():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done"

    assert await within(0.01, answers_late()) == "done"


async def test_a_stop_ends_the_work_for_certain():
    """Nothing of it goes on once the stop is told of: not even where it lost the first cancellation."""
    stubborn, stop = Stubborn(1), asyncio.Event()
    serving = asyncio.create_task(unless_stopped(stop, stubborn.work()))
    await asyncio.sleep(0)
    assert not stubborn.is_over
    stop.set()
    with pytest.raises(Stopped):
        await serving
    assert stubborn.is_over


async def test_work_that_ends_before_the_stop_is_handed_on():
    """What was returned is returned, what was raised is raised, even where a stop comes with it."""
    stop = asyncio.Event()

    async def fails():
        raise LookupError("not there")

    async def answers():
        stop.set()
        return 7

    with pytest.raises(LookupError, match="not there"):
        await unless_stopped(stop, fails())
    assert await unless_stopped(stop, answers()) == 7


async def test_a_stop_names_what_went_wrong_on_the_way_out():
    """Work that fails while it is ended was stopped all the same; why it failed is not lost."""
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
async def test_whoever_is_cancelled_leaves_nothing_running(bounded):
    """A cancellation from outside ends the work, too."""
    stubborn = Stubborn(0)
    outer = asyncio.create_task(bounded(stubborn.work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cancel_until_done(outer)
    assert outer.cancelled()
    assert stubborn.is_over
