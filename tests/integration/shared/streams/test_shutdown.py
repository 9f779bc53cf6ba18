"""The end of an SDK's receiving: it comes, and nothing stays claimed."""

import asyncio
from contextlib import asynccontextmanager

from azure.eventhub.exceptions import EventHubError

from services.emulator.storage.faults import Fault
from shared.service.tasks import cancel_until_done
from shared.streams.event_hubs.checkpoint_store import checkpoint_store
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.shutdown import end_receiving
from tests.support.embedded_stack import PATIENCE_S

PARTITIONS = 4
NEVER_S = 3_600.0


@asynccontextmanager
async def receiver(world, **values):
    """Open a store and a client that claims with it."""
    connection = world.connection(**{"balancing_interval_s": 0.2, "ownership_expiry_s": NEVER_S, **values})
    async with (
        checkpoint_store(world.checkpoint_connection) as store,
        consumer_client(connection, "telemetry", "ingest", store) as client,
    ):
        yield store, client


async def nothing(*_):
    """Ignore all arguments."""


async def owners(world, store):
    """Return the owner of each partition that was ever claimed; an empty one was given back."""
    claims = await store.list_ownership(f"127.0.0.1:{world.hub.port}", "telemetry", "ingest")
    return [claim["owner_id"] or "" for claim in claims]


async def all_owned(world, store):
    async with asyncio.timeout(PATIENCE_S):
        while len(list(filter(None, await owners(world, store)))) < PARTITIONS:  # noqa: ASYNC110 - blobs send no signal
            await asyncio.sleep(0.05)


async def test_a_cancellation_that_the_sdk_loses_keeps_nobody_from_ending(world):
    """On Python 3.11 one that comes with the hub's answer is lost: the receiving ends all the same."""
    async with receiver(world) as (store, client):
        asked, lost = asyncio.Event(), asyncio.Event()
        get_partition_ids = client.get_partition_ids

        async def losing_one():
            asked.set()
            if not lost.is_set():
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    lost.set()
            return await get_partition_ids()

        client.get_partition_ids = losing_one
        receiving = asyncio.create_task(client.receive_batch(nothing))
        await asked.wait()
        async with asyncio.timeout(PATIENCE_S):
            await end_receiving(client, receiving, store, NEVER_S)

        assert lost.is_set()
        assert receiving.done()
        assert not any(await owners(world, store))


async def test_what_is_renewed_as_the_end_comes_is_given_back(world):
    """A claim under way is waited for: the next process need not wait until it expires."""
    async with receiver(world) as (store, client):
        receiving = asyncio.create_task(client.receive_batch(nothing))
        await all_owned(world, store)
        late = Fault("slow", "set_metadata", "checkpoints/", at="after", delay_ms=300, times=PARTITIONS)
        with world.storage.faults.inject(late) as armed:
            async with asyncio.timeout(PATIENCE_S):
                while not armed.struck:  # noqa: ASYNC110 - a fault sends no signal
                    await asyncio.sleep(0.01)
                await end_receiving(client, receiving, store, NEVER_S)

        assert await owners(world, store) == [""] * PARTITIONS


async def test_what_was_won_as_the_end_came_is_given_back(world):
    """Partitions won by a first claim after the end was requested are given back, without any link."""
    async with receiver(world) as (store, client):
        late = Fault("slow", "put_blob", "checkpoints/", at="after", delay_ms=300, times=PARTITIONS)
        with world.storage.faults.inject(late) as armed:
            receiving = asyncio.create_task(client.receive_batch(nothing))
            async with asyncio.timeout(PATIENCE_S):
                while not armed.struck:  # noqa: ASYNC110 - a fault sends no signal
                    await asyncio.sleep(0.01)
                await end_receiving(client, receiving, store, NEVER_S)

        assert await owners(world, store) == [""] * PARTITIONS


async def test_a_storage_that_does_not_answer_holds_up_no_end(world):
    """Partitions that cannot be given back in time are left to expire."""
    async with receiver(world) as (store, client):
        receiving = asyncio.create_task(client.receive_batch(nothing))
        await all_owned(world, store)
        silent = Fault("slow", None, "checkpoints/", delay_ms=20_000, times="always")
        with world.storage.faults.inject(silent):
            async with asyncio.timeout(PATIENCE_S):
                await end_receiving(client, receiving, store, 1.0)
        assert receiving.done()


async def test_a_task_that_ends_by_an_error_of_its_own_is_over(world):
    """Cancelling a task does not raise its exception."""

    async def failing():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise EventHubError("too late") from None

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await cancel_until_done(task)
    assert isinstance(task.exception(), EventHubError)
