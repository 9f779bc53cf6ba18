import asyncio
from contextlib import asynccontextmanager

from tests.support.embedded_stack import PATIENCE_S


class Reader:
    """A reader's fate: `reads` is set with its first event, `failed` with an error."""

    def __init__(self):
        self.reads = asyncio.Event()
        self.failed = asyncio.Event()
        self.errors = []

    async def on_event(self, _context, _event):
        self.reads.set()

    async def on_error(self, _context, error):
        self.errors.append(str(error))
        self.failed.set()


@asynccontextmanager
async def reader(client, epoch):
    """Reads partition 0 with an epoch while the block lasts."""
    one = Reader()
    options = {"on_error": one.on_error, "partition_id": "0", "owner_level": epoch}
    async with client.reading(one.on_event, client_options={"retry_total": 0}, **options):
        yield one


async def test_a_higher_epoch_takes_the_partition_over(client):
    """The older owner loses its link as stolen, the newer one reads on."""
    await client.send(b"x", partition_id="0")
    async with asyncio.timeout(PATIENCE_S), reader(client, 1) as older:
        await older.reads.wait()
        async with reader(client, 2) as newer:
            await newer.reads.wait()
            await older.failed.wait()
    assert "amqp:link:stolen" in older.errors[0]
    assert not newer.errors


async def test_a_lower_epoch_or_none_is_refused(client):
    """While an owner reads, readers with a lower epoch or none are refused."""
    await client.send(b"x", partition_id="0")
    async with asyncio.timeout(PATIENCE_S), reader(client, 5) as owner:
        await owner.reads.wait()
        for epoch in (4, None):
            async with reader(client, epoch) as late:
                await late.failed.wait()
            assert "amqp:link:stolen" in late.errors[0]
    assert not owner.errors
