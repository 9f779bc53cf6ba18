"""The bytes that a link may keep in memory, whatever their events weigh."""

import asyncio

from shared.streams.event_hubs.receive_budget import ByteBudget


async def is_waiting(task):
    """It is, once it had its turn."""
    await asyncio.sleep(0)
    return not task.done()


async def test_an_event_waits_until_there_is_room_for_it():
    """What fits is taken at once, what does not once older events have been handed over."""
    room = ByteBudget(100)
    await room.acquire(60)
    await room.acquire(40)
    third = asyncio.create_task(room.acquire(50))
    assert await is_waiting(third)
    room.release(1)
    await third


async def test_an_event_larger_than_the_room_comes_alone():
    """The largest event passes however small a share is; nothing stands beside it."""
    room = ByteBudget(10)
    await room.acquire(1_000_000)
    second = asyncio.create_task(room.acquire(1))
    assert await is_waiting(second)
    room.release(1)
    await second


async def test_small_change_lets_nobody_in():
    """Room for one is not room for another that weighs more."""
    room = ByteBudget(100)
    await room.acquire(10)
    await room.acquire(90)
    third = asyncio.create_task(room.acquire(50))
    room.release(1)
    assert await is_waiting(third)
    room.release(1)
    await third


async def test_nobody_waits_for_a_link_that_closes():
    """A reader that waits for room goes on once the link is being closed."""
    room = ByteBudget(10)
    await room.acquire(10)
    second = asyncio.create_task(room.acquire(10))
    assert await is_waiting(second)
    room.close()
    await second
