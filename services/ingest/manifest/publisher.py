"""The manifest: a record of each committed file in a hub, so that consumers need not list the lake.

The publisher follows the chains of the partitions that this process owns, independently of the commits. If
the manifest's hub is down, no commit is delayed and nothing is queued, since publishing resumes after the
last record in the hub. Each chain's records are in order; after a crash, or with a second writer, some
records are sent again. A file is published only after it was read from its slot, so only if it is committed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from prometheus_client import Counter

from services.ingest.manifest.position import ManifestHub, find_position, write_mark
from services.ingest.manifest.record import CONTENT_TYPE, CommittedFile, encode_record, read_enqueued_range
from shared.lake.client import Lake
from shared.lake.slots.chain import read_file_metadata
from shared.lake.slots.footer import Footer, Head
from shared.lake.slots.slot import ChainKey
from shared.service import failpoints
from shared.service.errors import FleetpriceError, Missing, Refused, SettingsError, SourceUnavailable
from shared.service.tasks import cancel_until_done, within
from shared.streams.event_hubs.clients import SingleSendProducerClient, consumer_client, producer_client
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.errors import mapped_errors
from shared.streams.event_hubs.hub import Hub
from shared.streams.event_hubs.messages import make_event

log = structlog.get_logger()

RECORDS = Counter("fleetprice_ingest_manifest_records_total", "Records of committed files sent", ["hub"])

_GROUP = "$Default"
_LOOK_S = 0.5
_MAX_PAUSE_S = 15.0
_LAST_ROUND_S = 3.0
_MAX_AT_ONCE = 100
_MARK_AFTER_S = 60.0
# Well before the service closes an idle link, which would show as a failed send.
_IDLE_S = 60.0

# The end of each chain that this process owns now.
Heads = Callable[[], Mapping[ChainKey, Head]]


@dataclass(slots=True)
class _Published:
    """The published end of a chain; `path` is the last file that this process published."""

    head: Head
    path: str = ""
    marked_path: str = ""
    marked_s: float = 0.0


class Manifest:
    """A publisher of the files in one stream's chains; run it with `running_manifest`.

    Transient failures do not end it.
    """

    def __init__(
        self, connection: HubConnection, hub: str, source_hub: str, lake: Lake, heads: Heads
    ) -> None:
        self._connection = connection
        self._hub = hub
        self._source_hub = source_hub
        self._lake = lake
        self._heads = heads
        self._published: dict[ChainKey, _Published] = {}
        self._manifest_hub: ManifestHub | None = None
        self._producer: SingleSendProducerClient | None = None
        self._sent_s = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Publish committed files until `stop` is set."""
        pause_s = _LOOK_S
        while not stop.is_set():
            pause_s = _LOOK_S if await self._publish_new() else min(_MAX_PAUSE_S, 2 * pause_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_s)

    async def finish(self) -> None:
        """Publish the last files, for at most a few seconds; call this after the last commit."""
        try:
            with suppress(TimeoutError):  # the next start resumes after the last record
                await within(_LAST_ROUND_S, self._publish_new(is_last=True))
        finally:
            await self._close()

    async def _publish_new(self, *, is_last: bool = False) -> bool:
        """Publish every chain's new files; return False if the hub or the lake did not answer."""
        heads = self._heads()
        for chain in self._published.keys() - heads.keys():
            del self._published[chain]  # its new owner resumes after the last record in the hub
        behind = [
            chain
            for chain, head in heads.items()
            if chain not in self._published or self._published[chain].head != head
        ]
        try:
            with mapped_errors(self._hub, _GROUP):
                if behind:
                    await self._publish(behind)
                elif time.monotonic() - self._sent_s > _IDLE_S:
                    await self._close()
                await self._mark(is_last=is_last)
        except FleetpriceError as error:
            log.warning("manifest_behind", hub=self._hub, partitions=len(behind), reason=_first_line(error))
            self._published.clear()  # the next position is read from the hub, as the send may have succeeded
            await self._close()
            return False
        return True

    async def _publish(self, chains: Iterable[ChainKey]) -> None:
        await self._find_positions([chain for chain in chains if chain not in self._published])
        for chain in chains:
            published = self._published.get(chain)
            while published is not None and (files := await self._read_next_files(chain, published.head)):
                # After a crash before this the next start sends these, after a later one some of them again.
                failpoints.reach("manifest_read")
                await self._send(chain, files)
                failpoints.reach("manifest_sent")
                published.head, published.path = files[-1].footer.head, files[-1].path

    async def _find_positions(self, chains: Iterable[ChainKey]) -> None:
        if not chains:
            return
        client = consumer_client(self._connection, self._hub, _GROUP)
        async with client:
            hub = Hub(client, _GROUP)
            properties = await hub.describe()
            created_at = properties.created_at.isoformat()
            manifest_hub = self._manifest_hub = ManifestHub(self._hub, created_at, properties.partitions)
            for chain in chains:
                position = await find_position(self._lake, hub, manifest_hub, chain)
                if position is not None:
                    self._published[chain] = _Published(position)

    async def _read_next_files(self, chain: ChainKey, head: Head) -> list[CommittedFile]:
        """Return the next files of the chain after `head`, up to a limit."""
        files: list[CommittedFile] = []
        while len(files) < _MAX_AT_ONCE:
            path = chain.slot(head.next_hour, head.next_first)
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
                    *read_enqueued_range(metadata),
                )
            )
            head = footer.head
        return files

    async def _send(self, chain: ChainKey, files: Iterable[CommittedFile]) -> None:
        if self._manifest_hub is None:
            raise AssertionError("a chain is published only once its position was found")
        if self._producer is None:
            self._producer = producer_client(self._connection, self._hub)
        partition_id = str(self._manifest_hub.partition_for(chain))
        batch = await self._producer.create_batch(partition_id=partition_id)
        for file in files:
            batch.add(make_event(encode_record(self._source_hub, chain, file), CONTENT_TYPE))
        await self._producer.send_batch(batch)
        self._sent_s = time.monotonic()
        RECORDS.labels(self._hub).inc(len(batch))

    async def _mark(self, *, is_last: bool) -> None:
        now_s = time.monotonic()
        for chain, published in self._published.items():
            is_due = is_last or now_s - published.marked_s >= _MARK_AFTER_S
            if is_due and published.path != published.marked_path and self._manifest_hub is not None:
                await write_mark(self._lake, self._manifest_hub, chain, published.path)
                published.marked_path, published.marked_s = published.path, now_s

    async def _close(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.close()


@asynccontextmanager
async def running_manifest(manifest: Manifest, stop_all: asyncio.Event) -> AsyncIterator[None]:
    """Publish files that are committed within the block, and the last ones when the block ends.

    An unexpected error of the publisher sets `stop_all`, and is raised at the end of the block.
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
    """Check that the hub exists. Raises SettingsError if it does not.

    If the hub does not answer or refuses access, only a warning is logged.
    """
    client = consumer_client(connection, hub, _GROUP, retry_total=1)
    async with client:
        try:
            await Hub(client, _GROUP).describe()
        except Missing as error:
            raise SettingsError(
                f"FLEETPRICE_INGEST_MANIFEST_HUB: there is no hub {hub}, create it"
            ) from error
        except (Refused, SourceUnavailable) as error:
            log.warning("manifest_behind", hub=hub, partitions=0, reason=_first_line(error))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
