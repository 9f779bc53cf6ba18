import asyncio

from tests.support.embedded_stack import PATIENCE_S


async def test_a_consumer_goes_on_after_its_checkpoint(sdk):
    """A new consumer with the same store starts right after the checkpoint, whatever was read."""
    await sdk.send(*(b"%d" % number for number in range(10)), partition_id="1")
    done = asyncio.Event()

    async def on_event(context, event):
        if event.sequence_number == 6:
            await context.update_checkpoint(event)
        if event.sequence_number == 9:
            done.set()

    async with sdk.checkpoints() as store, asyncio.timeout(PATIENCE_S):
        async with sdk.reading(on_event, client_options={"checkpoint_store": store, **QUICK}):
            await done.wait()
        [again, *_] = await sdk.receive(3, client_options={"checkpoint_store": store, **QUICK})
    assert again.sequence_number == 7


async def test_groups_keep_their_own_checkpoints(sdk):
    """Consumer groups read independently of each other."""
    await sdk.send(b"0", b"1", partition_id="0")
    ingest, scorer = sdk.at(group="ingest"), sdk.at(group="scorer")
    kept = asyncio.Event()
    namespaces = set()

    async def on_event(context, event):
        namespaces.add(context.fully_qualified_namespace)
        await context.update_checkpoint(event)
        if event.sequence_number == 1:
            kept.set()

    async with sdk.checkpoints() as store, asyncio.timeout(PATIENCE_S):
        options = {"checkpoint_store": store, **QUICK}
        async with ingest.reading(on_event, client_options=options):
            await kept.wait()
        [namespace] = namespaces
        checkpoints = await store.list_checkpoints(namespace, "telemetry", "ingest")
        assert [(one["partition_id"], one["sequence_number"]) for one in checkpoints] == [("0", 1)]
        assert await store.list_checkpoints(namespace, "telemetry", "scorer") == []
        [first, *_] = await scorer.receive(2, client_options=options)
    assert first.sequence_number == 0


QUICK = {"load_balancing_interval": 0.5, "partition_ownership_expiration_interval": 4}
