"""Ingest broken on purpose: it writes the checkpoint before the file, and starts from it."""

import os
import sys

from azure.storage.blob.aio import BlobServiceClient

from services.ingest import stream
from services.ingest.__main__ import main
from services.ingest.partition import PartitionIngest
from shared.lake.slots.chain import find_heads
from shared.lake.slots.footer import Head

land = PartitionIngest._land


async def checkpoint_then_land(pipeline, contents):
    head = Head(contents.last + 1, contents.next_hour, contents.last_offset)
    await pipeline._progress.note_commit(pipeline.committer.chain.partition, head)
    await land(pipeline, contents)


async def heads_from_checkpoints(lake, name, roots):
    heads = await find_heads(lake, name, roots)
    for chain, head in heads.items():
        last = (await checkpoints()).get(str(chain.partition), head.next_first - 1)
        heads[chain] = Head(last + 1, head.next_hour, head.last_offset)
    return heads


async def checkpoints():
    async with BlobServiceClient.from_connection_string(os.environ["FLEETPRICE_STORAGE"]) as client:
        blobs = client.get_container_client("checkpoints").list_blobs(include=["metadata"])
        return {
            blob.name.rpartition("/")[2]: int(blob.metadata["sequencenumber"])
            async for blob in blobs
            if "/checkpoint/" in blob.name
        }


PartitionIngest._land = checkpoint_then_land
stream.find_heads = heads_from_checkpoints
sys.exit(main())
