"""The manifest: a record of each committed file in a hub, so that nobody downstream needs to list the lake.

It walks the chains of the partitions that this process owns, behind the commits and apart from them: a
manifest's hub that is down delays no commit and queues nothing, for the walk goes on from the last record
told. Each lane's records are in order; a crash after a send, or a second writer, tells some of them again. A
record is only ever of a file that was read in its slot, so of a committed one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from azure.eventhub import EventData
from azure.eventhub.exceptions import EventHubError
from prometheus_client import Counter

from services.ingest.hub import NOT_FOUND
from services.ingest.manifest.position import Manifested, find_position, write_mark
from services.ingest.manifest.record import CONTENT_TYPE, CommittedFile, encode_record, enqueued_range
from shared.lake.client import Lake
from shared.lake.slots.chain import read_file_metadata
from shared.lake.slots.footer import Footer, Head
from shared.lake.slots.slot import ChainKey
from shared.service import failpoints
from shared.service.errors import FleetpriceError, SettingsError
from shared.service.tasks import cancel_until_done, within
from shared.streams.event_hubs.clients import (
    SingleSendProducerClient,
    consumer_client,
    hub_created_at,
    producer_client,
)
from shared.streams.event_hubs.connection import HubConnection

log = structlog.get_logger()

RECORDS = Counter("fleetprice_ingest_manifest_records_total", "Records of committed files sent", ["hub"])

_LOOK_S = 0.5
_MAX_PAUSE_S = 15.0
_LAST_ROUND_S = 3.0
_MAX_AT_ONCE = 100
_MARK_AFTER_S = 60.0
# Well before the service closes an idle link, which would show as a failed send.
_IDLE_S = 60.0
_PASSING = (EventHubError, FleetpriceError, OSError)

# Where each chain goes on, of the lanes that this process owns now.
Heads = Callable[[], Mapping[ChainKey, Head]]


@dataclass(slots=True)
class _Published:
    """How far a lane has been told; `path` is the last file of it that this process told."""

    head: Head
    path: str = ""
    marked_path: str = ""
    marked_s: float = 0.0


class Manifest:
    """Follows the chains of one stream; nothing that passes ends it. See `running_manifest`."""

    def __init__(
        self, connection: HubConnection, hub: str, source_hub: str, lake: Lake, heads: Heads
    ) -> None:
        self._connection = connection
        self._hub = hub
        self._source_hub = source_hub
        self._lake = lake
        self._heads = heads
        self._told: dict[ChainKey, _Published] = {}
        self._manifested: Manifested | None = None
        self._producer: SingleSendProducerClient | None = None
        self._sent_s = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Tell what gets committed, until `stop`."""
        pause_s = _LOOK_S
        while not stop.is_set():
            pause_s = _LOOK_S if await self._round() else min(_MAX_PAUSE_S, 2 * pause_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_s)

    async def finish(self) -> None:
        """Once nothing is committed any more: tell the last files, if that goes quickly."""
        try:
            with suppress(TimeoutError):  # the next start goes on from the last record
                await within(_LAST_ROUND_S, self._round(is_last=True))
        finally:
            await self._close()

    async def _round(self, *, is_last: bool = False) -> bool:
        """Tell every lane that has something new; False where the hub or the lake did not answer."""
        heads = self._heads()
        for lane in self._told.keys() - heads.keys():
            del self._told[lane]  # another process tells on, from the hub's last record
        behind = [
            lane for lane, head in heads.items() if lane not in self._told or self._told[lane].head != head
        ]
        try:
            if behind:
                await self._tell(behind)
            elif time.monotonic() - self._sent_s > _IDLE_S:
                await self._close()
            await self._mark(is_last=is_last)
        except _PASSING as error:
            log.warning("manifest_behind", hub=self._hub, partitions=len(behind), reason=_first_line(error))
            self._told.clear()  # the hub says how far it was told, whatever became of it and of the send
            await self._close()
            return False
        return True

    async def _tell(self, lanes: Iterable[ChainKey]) -> None:
        await self._find_positions([lane for lane in lanes if lane not in self._told])
        for lane in lanes:
            told = self._told.get(lane)
            while told is not None and (files := await self._next_files(lane, told.head)):
                # A crash before this tells these files at the next start, after it some of them again.
                failpoints.reach("manifest_read")
                await self._send(lane, files)
                failpoints.reach("manifest_sent")
                told.head, told.path = files[-1].footer.head, files[-1].path

    async def _find_positions(self, lanes: Iterable[ChainKey]) -> None:
        if not lanes:
            return
        async with consumer_client(self._connection, self._hub, "$Default") as client:
            partitions = len(await client.get_partition_ids())
            created_at = (await hub_created_at(client)).isoformat()
            manifested = self._manifested = Manifested(self._hub, created_at, partitions)
            for lane in lanes:
                position = await find_position(self._lake, client, manifested, lane)
                if position is not None:
                    self._told[lane] = _Published(position)

    async def _next_files(self, lane: ChainKey, head: Head) -> list[CommittedFile]:
        """The files that stand in the chain from there on, some at a time."""
        files: list[CommittedFile] = []
        while len(files) < _MAX_AT_ONCE:
            path = lane.slot(head.next_hour, head.next_first)
            metadata = await read_file_metadata(self._lake, path)
            if metadata is None:
                break
            footer = Footer.from_key_values(metadata.metadata or {}, path)
            standing = await self._lake.stat(path)
            if standing is None:
                break
            files.append(
                CommittedFile(
                    path,
                    self._lake.blob_url(path),
                    standing.size_bytes,
                    standing.modified_at,
                    footer,
                    *enqueued_range(metadata),
                )
            )
            head = footer.head
        return files

    async def _send(self, lane: ChainKey, files: Iterable[CommittedFile]) -> None:
        if self._manifested is None:
            raise AssertionError("a lane is told only once its position was found")
        if self._producer is None:
            self._producer = producer_client(self._connection, self._hub)
        partition_id = self._manifested.partition_of(lane)
        batch = await self._producer.create_batch(partition_id=partition_id)
        for file in files:
            event = EventData(encode_record(self._source_hub, lane, file))
            event.content_type = CONTENT_TYPE
            batch.add(event)
        await self._producer.send_batch(batch)
        self._sent_s = time.monotonic()
        RECORDS.labels(self._hub).inc(len(batch))

    async def _mark(self, *, is_last: bool) -> None:
        now_s = time.monotonic()
        for lane, told in self._told.items():
            is_due = is_last or now_s - told.marked_s >= _MARK_AFTER_S
            if is_due and told.path != told.marked_path and self._manifested is not None:
                await write_mark(self._lake, self._manifested, lane, told.path)
                told.marked_path, told.marked_s = told.path, now_s

    async def _close(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.close()


@asynccontextmanager
async def running_manifest(manifest: Manifest, stop_all: asyncio.Event) -> AsyncIterator[None]:
    """Tell what is committed within the block, and at its end what was committed last.

    Should it end by a bug of its own, it stops everything, and the block ends with that.
    """
    stop = asyncio.Event()
    running = asyncio.create_task(manifest.run(stop))
    running.add_done_callback(lambda _: None if stop.is_set() else stop_all.set())
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait([running], timeout=_LAST_ROUND_S)
        await cancel_until_done(running)
        await manifest.finish()
    if not running.cancelled():
        running.result()


async def refuse_missing(connection: HubConnection, hub: str) -> None:
    """Raises SettingsError where there is no such hub; one that does not answer may come back."""
    async with consumer_client(connection, hub, "$Default", retry_total=1) as client:
        try:
            await client.get_eventhub_properties()
        except EventHubError as error:
            if any(words in str(error) for words in NOT_FOUND):
                raise SettingsError(
                    f"FLEETPRICE_INGEST_MANIFEST_HUB: there is no hub {hub}, create it"
                ) from error
            log.warning("manifest_behind", hub=hub, partitions=0, reason=_first_line(error))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
