import asyncio
import sys
from pathlib import Path

from azure.eventhub import EventData

from tests.support.embedded_stack import PATIENCE_S

READER = Path(__file__).with_name("balanced_reader.py")
BALANCING = {"load_balancing_interval": 0.5, "partition_ownership_expiration_interval": 4}
PARTITIONS = 8
EVENTS = 20


class Neighbour:
    """The consumer in the other process, and what it reported before it was killed."""

    def __init__(self, process):
        self.process = process
        self.seen = set()
        self.shares = asyncio.Event()
        self.task = asyncio.create_task(self._listen())

    async def _listen(self):
        async for line in self.process.stdout:
            partition, number = line.decode().split()
            self.seen.add((partition, int(number)))
            if len({partition for partition, _ in self.seen}) >= PARTITIONS // 2:
                self.shares.set()

    async def killed(self):
        self.process.kill()
        await self.process.wait()
        await self.task


async def test_two_consumers_share_and_one_takes_over(world, sdk):
    """Two consumers share eight partitions; one is killed, the other takes over all, nothing is missed."""
    world.hub.create_hub("shared", PARTITIONS)
    sdk = sdk.at(hub="shared")
    seen, done = set(), asyncio.Event()
    everything = {(str(partition), number) for partition in range(PARTITIONS) for number in range(2 * EVENTS)}

    async def send_to_all():
        async with sdk.producer() as producer:
            for partition in range(PARTITIONS):
                batch = await producer.create_batch(partition_id=str(partition))
                for number in range(EVENTS):
                    batch.add(EventData(b"%d" % number))
                await producer.send_batch(batch)

    async def on_batch(context, events):
        seen.update((context.partition_id, event.sequence_number) for event in events)
        if events:
            await context.update_checkpoint(events[-1])
        # Its own share shows only after the kill: what the neighbour took before need not come again.
        if seen | neighbour.seen >= everything and {partition for partition, _ in seen} == set(
            map(str, range(PARTITIONS))
        ):
            done.set()

    await send_to_all()
    process = await asyncio.create_subprocess_exec(
        sys.executable, READER, sdk.connection_string, sdk.storage, sdk.hub, stdout=asyncio.subprocess.PIPE
    )
    neighbour = Neighbour(process)
    async with asyncio.timeout(PATIENCE_S):
        # It begins with all partitions and yields half of them to the new consumer.
        await neighbour.shares.wait()
        async with sdk.checkpoints() as store, sdk.consumer(checkpoint_store=store, **BALANCING) as consumer:
            reading = asyncio.create_task(consumer.receive_batch(on_batch, starting_position="-1"))
            await both_own_some(sdk, store, consumer._address.hostname)
            await neighbour.killed()
            await send_to_all()
            await done.wait()
        await asyncio.gather(reading, return_exceptions=True)
    assert seen | neighbour.seen == everything


async def both_own_some(sdk, store, namespace):
    while True:
        claims = await store.list_ownership(namespace, sdk.hub, sdk.group)
        owners = [claim["owner_id"] for claim in claims if claim["owner_id"]]
        if len(set(owners)) == 2 and min(map(owners.count, set(owners))) >= 2:
            return
        # There is no event to wait for when the store changes.
        await asyncio.sleep(0.2)
