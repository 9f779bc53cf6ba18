"""Receiving without the SDK's sleeps, by the pinned SDK against the real hub."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from azure.eventhub import EventData

from services.emulator.event_hubs.faults import Fault
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.low_latency_receiver import receive_promptly
from shared.streams.event_hubs.messages import read_body
from shared.streams.event_hubs.sender import PartitionSender
from tests.support.embedded_stack import PATIENCE_S

ROUNDS = 20


class Taken:
    """The events that a consumer handed over, and a way to wait for them."""

    def __init__(self):
        self.bodies = []
        self.empty_calls = 0
        self._changed = asyncio.Event()

    async def take(self, _context, events):
        self.empty_calls += not events
        self.bodies += map(read_body, events)
        self._changed.set()

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE_S):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def receiving(connection, *, is_prompt, **options):
    async with consumer_client(connection, "telemetry", "$Default") as client:
        if is_prompt:
            receive_promptly(client)
        taken = Taken()
        task = asyncio.create_task(
            client.receive_batch(taken.take, partition_id="0", starting_position="-1", **options)
        )
        try:
            yield taken
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
async def sender(world):
    async with PartitionSender(world.connection(), "telemetry", "0", read_body) as sender:
        yield sender


async def test_it_is_ahead_of_the_sdks_own_receiving(world, sender):
    """Of two receivers of the same events, the prompt one has nearly every event first."""
    first = []
    async with (
        receiving(world.connection(), is_prompt=True) as prompt,
        receiving(world.connection(), is_prompt=False) as plain,
    ):
        for number in range(ROUNDS):
            await sender.send([EventData(b"%d" % number)])
            await prompt.until(lambda taken: len(taken.bodies) == number + 1)  # noqa: B023 - awaited here
            first.append(len(plain.bodies) <= number)
            await plain.until(lambda taken: len(taken.bodies) == number + 1)  # noqa: B023
    assert sum(first) > ROUNDS / 2


async def test_a_backlog_comes_whole_and_in_order(world, sender):
    """More than may be handed over at once, and more than the link has credit for, all comes in order."""
    bodies = [b"%d" % number for number in range(1_000)]
    await sender.send([EventData(body) for body in bodies])
    async with receiving(world.connection(), is_prompt=True, prefetch=64, max_batch_size=10) as taken:
        await taken.until(lambda taken: len(taken.bodies) >= len(bodies))
        assert taken.bodies == bodies


async def test_it_goes_on_after_its_link_is_detached(world, sender):
    """A link that the hub detaches is opened again, and later events arrive."""
    async with receiving(world.connection(), is_prompt=True) as taken:
        await sender.send([EventData(b"before")])
        await taken.until(lambda taken: taken.bodies == [b"before"])
        world.hub.faults.inject(Fault("detach"))
        await sender.send([EventData(b"after")])
        await taken.until(lambda taken: b"after" in taken.bodies)
    assert taken.bodies == [b"before", b"after"]


async def test_an_idle_link_is_told_of(world):
    """If nothing comes for `max_wait_time`, the callback is called without events, as by the SDK."""
    async with receiving(world.connection(), is_prompt=True, max_wait_time=0.1) as taken:
        await taken.until(lambda taken: taken.empty_calls >= 2)
    assert taken.bodies == []
