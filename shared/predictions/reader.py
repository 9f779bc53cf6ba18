"""The reader of the predictions topic: every prediction once, in order per source partition, resumable."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from shared.codec.body_decoder import BodyDecoder
from shared.contract.columns import PREDICTION
from shared.contract.prediction import Prediction
from shared.predictions.watermark import Mark, Watermarks
from shared.service.tasks import cancel_until_done
from shared.streams.event import decode_body
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.errors import mapped_errors
from shared.streams.event_hubs.messages import (
    EventData,
    read_enqueued_us,
    read_event,
    read_property,
    read_sequence_number,
)
from shared.streams.event_hubs.partition_events import Gap, Position, partition_events

_QUEUED_EVENTS = 1_000


class ReceivedPrediction(Struct, frozen=True):
    """One prediction and its place in the predictions hub."""

    prediction: Prediction
    partition: str
    sequence_number: int
    offset: str
    line: int
    enqueued_at: datetime


class ResumeToken(Struct, frozen=True):
    """A reader's position: the last sequence number per hub partition, and a mark per source partition."""

    positions: dict[str, int]
    marks: dict[int, Mark]


class PredictionReader:
    """An async iterator over the predictions of all partitions.

    In a partition that `token` names, reading continues after the token's position. In any other it begins
    after `start`: a sequence number (-1: from the oldest event), an instant, "@latest", or a mapping from
    partition to such a position. If `until` (partition → last sequence number) is given, the iteration ends
    there.

    A prediction that was published twice, even by another process or model version, is yielded once; the
    others are counted in `doubles`. Raises SourceUnavailable or Refused if the hub cannot be read, or if
    reading a partition fails several times in a row without progress.
    """

    def __init__(
        self,
        connection: HubConnection,
        hub: str,
        *,
        start: Position | Mapping[str, Position] = -1,
        until: Mapping[str, int] | None = None,
        token: ResumeToken | None = None,
        group: str = "$Default",
    ) -> None:
        self._connection = connection
        self._hub = hub
        self._group = group
        self._start = start
        self._until = until
        self._watermarks = Watermarks(token.marks if token else None)
        self._positions: dict[str, int] = dict(token.positions) if token else {}
        self._decoder = BodyDecoder(PREDICTION)
        self._queue: asyncio.Queue[tuple[str, list[EventData]] | BaseException | None] = asyncio.Queue(
            _QUEUED_EVENTS
        )
        self._end: Mapping[str, int] | None = None
        self.ended = asyncio.Event()
        self.events = 0
        self.predictions = 0

    @property
    def doubles(self) -> int:
        """The number of predictions dropped because they were read before."""
        return self._watermarks.doubles

    @property
    def token(self) -> ResumeToken:
        """The position from which to resume; read this once all predictions yielded so far are processed."""
        return ResumeToken(dict(self._positions), dict(self._watermarks.marks))

    async def end_at(self, last: Mapping[str, int]) -> None:
        """End the iteration once each partition is read up to its sequence number in `last` (-1: no event).

        `ended` is set at that moment. The iteration itself ends up to a second later, when the SDK has closed
        its links.
        """
        self._end = last
        await self._queue.put(("", []))  # wakes the iteration, which may be at the end already

    def _is_at_end(self) -> bool:
        if self._end is None:
            return False
        return all(self._positions.get(partition, -1) >= last for partition, last in self._end.items())

    async def __aiter__(self) -> AsyncGenerator[ReceivedPrediction, None]:
        async with consumer_client(self._connection, self._hub, self._group) as client:
            queue = self._queue
            with mapped_errors(self._hub, self._group):
                partitions = await client.get_partition_ids()
            tasks = [asyncio.create_task(self._read(client, one, queue)) for one in partitions]
            try:
                reading = len(tasks)
                while reading and not self._is_at_end():
                    item = await queue.get()
                    if isinstance(item, BaseException):
                        raise item
                    if item is None:
                        reading -= 1
                        continue
                    for event in item[1]:
                        for received in self._select_new(item[0], event):
                            yield received
                        self._positions[item[0]] = read_sequence_number(event)
            finally:
                self.ended.set()
                with suppress(asyncio.CancelledError):
                    await asyncio.gather(*map(cancel_until_done, tasks))

    async def _read(self, client: Any, partition: str, queue: "asyncio.Queue[Any]") -> None:
        until = None if self._until is None else self._until.get(partition, -1)
        try:
            start = await self._find_start(client, partition)
            async for events in partition_events(client, partition, start, until):
                if not isinstance(events, Gap):
                    await queue.put((partition, events))
        except Exception as error:  # noqa: BLE001 - handed to the reader, who raises it
            await queue.put(error)
        else:
            await queue.put(None)

    async def _find_start(self, client: Any, partition: str) -> Position:
        """Return the position after which to read a partition.

        "@latest" is resolved to a sequence number, so that the token includes the partition from the start.
        """
        if partition in self._positions:
            return self._positions[partition]
        start = self._start.get(partition, -1) if isinstance(self._start, Mapping) else self._start
        if start == "@latest":
            with mapped_errors(self._hub, self._group):
                properties = await client.get_partition_properties(partition)
            start = self._positions[partition] = int(properties["last_enqueued_sequence_number"])
        return start

    def _select_new(self, partition: str, event: EventData) -> Iterator[ReceivedPrediction]:
        self.events += 1
        created_at = read_source_created_at(event)
        enqueued_at = datetime.fromtimestamp(read_enqueued_us(event) / 1e6, UTC)
        for line, prediction in self._decode(event):
            self.predictions += 1
            mark = Mark(created_at, prediction.source_sequence_number, prediction.source_line)
            if self._watermarks.is_new(prediction.source_partition, mark):
                yield ReceivedPrediction(
                    prediction, partition, read_sequence_number(event), str(event.offset), line, enqueued_at
                )

    def _decode(self, event: EventData) -> Iterator[tuple[int, Prediction]]:
        decoded = decode_body(self._decoder, read_event(event))
        if decoded.batch is not None:
            rows = decoded.batch.drop_columns(["extra"]).to_pylist()
            return zip(decoded.lines, (msgspec.convert(row, Prediction) for row in rows), strict=True)
        # A decoder of PREDICTION gives Predictions.
        return zip(decoded.lines, decoded.records, strict=True)  # type: ignore[arg-type]


def read_source_created_at(event: EventData) -> datetime:
    """Return when the source hub was created, as the scorer wrote it into the event; if absent, the epoch."""
    text = read_property(event, "source_created_at")
    return datetime.fromisoformat(text) if text else datetime.fromtimestamp(0, UTC)
