"""Work that has to end: it does, even where it swallows its cancellation."""

import asyncio

import pytest

from shared.tasks import cancel_until_done, within


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


async def test_whoever_is_cancelled_leaves_nothing_running():
    """A cancellation from outside ends the work, too."""
    stubborn = Stubborn(0)
    outer = asyncio.create_task(within(3_600, stubborn.work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cancel_until_done(outer)
    assert outer.cancelled()
    assert stubborn.is_over
