"""The budget of bytes that a link may keep in memory, for events of any size."""

import asyncio

from shared.streams.event_hubs.receive_budget import ByteBudget


async def is_waiting(task):
    """Return whether the task still waits after its turn."""
    await asyncio.sleep(0)
    return not task.done()


async def test_an_event_waits_until_there_is_room_for_it():
    """An event that fits is admitted at once, another one once older events have been handed over."""
    room = ByteBudget(100)
    await room.acquire(60)
    await room.acquire(40)
    third = asyncio.create_task(room.acquire(50))
    assert await is_waiting(third)
    room.release(1)
    await third


async def test_an_event_larger_than_the_room_comes_alone():
    """The largest event is admitted even to the smallest budget, but alone."""
    room = ByteBudget(10)
    await room.acquire(1_000_000)
    second = asyncio.create_task(room.acquire(1))
    assert await is_waiting(second)
    room.release(1)
    await second


async def test_small_change_lets_nobody_in():
    """Room for one event is not room for a larger one."""
    room = ByteBudget(100)
    await room.acquire(10)
    await room.acquire(90)
    third = asyncio.create_task(room.acquire(50))
    room.release(1)
    assert await is_waiting(third)
    room.release(1)
    await third


async def test_nobody_waits_for_a_link_that_closes():
    """A reader that waits for room continues once the link is being closed."""
    room = ByteBudget(10)
    await room.acquire(10)
    second = asyncio.create_task(room.acquire(10))
    assert await is_waiting(second)
    room.close()
    await second
