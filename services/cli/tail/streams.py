"""Reads the records of all partitions of a hub."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime

import msgspec

from services.cli.tail.record_view import Place, TailRecord
from services.cli.tail.settings import TailSettings
from services.cli.tail.start_position import Start
from shared.codec.body_decoder import BodyDecoder
from shared.contract.columns import READING
from shared.contract.reading import Reading
from shared.predictions.reader import PredictionReader
from shared.predictions.resume_file import ResumeFile
from shared.service.errors import NeedsAttention
from shared.service.logs import log
from shared.service.tasks import cancel_until_done
from shared.streams.event import decode_body
from shared.streams.event_hubs.clients import ConsumerClient, consumer_client
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.errors import mapped_errors
from shared.streams.event_hubs.messages import (
    EventData,
    read_event,
)
from shared.streams.event_hubs.partition_events import Gap, partition_events

_GROUP = "$Default"
_QUEUED_BATCHES = 8
_FOR_EVER = 2**63 - 1

_Arrival = tuple[str, list[EventData] | Gap] | Exception


async def tail_records(settings: TailSettings, start: Start) -> AsyncGenerator[TailRecord, None]:
    """Yield records from `start` on, for ever.

    Raises NeedsAttention if the partition is unknown, or if telemetry is to be resumed.
    """
    hub = settings.telemetry_hub if settings.stream == "telemetry" else settings.predictions_hub
    async with consumer_client(HubConnection.from_settings(settings), hub, _GROUP) as client:
        with mapped_errors(hub, _GROUP):
            partitions: list[str] = await client.get_partition_ids()
        if start.partition is not None:
            if start.partition not in partitions:
                raise NeedsAttention(f"hub {hub} has no partition {start.partition}: {', '.join(partitions)}")
            partitions = [start.partition]
        if settings.resume and settings.stream == "telemetry":
            raise NeedsAttention("--resume is for predictions: the position in telemetry is not kept")
        if settings.stream == "telemetry":
            records = _read_telemetry(client, partitions, start)
        else:
            records = _read_predictions(settings, partitions, start)
        async with aclosing(records):
            async for record in records:
                if not settings.vehicle or record.vehicle_id == settings.vehicle:
                    yield record


async def _read_predictions(
    settings: TailSettings, partitions: list[str], start: Start
) -> AsyncGenerator[TailRecord, None]:
    resume_file = None if settings.resume is None else ResumeFile(settings.resume)
    reader = PredictionReader(
        HubConnection.from_settings(settings),
        settings.predictions_hub,
        start=start.position,
        until=dict.fromkeys(partitions, _FOR_EVER),  # excludes the other partitions
        token=resume_file.load() if resume_file else None,
    )
    doubles = 0
    try:
        async with aclosing(aiter(reader)) as received:
            async for one in received:
                place = Place(int(one.partition), one.sequence_number, one.offset, one.line, one.enqueued_at)
                before, doubles = reader.doubles - doubles, reader.doubles
                yield TailRecord(place, one.prediction, doubles_dropped=doubles, doubles_before=before)
                if resume_file:
                    resume_file.save_if_due(reader.token)
    finally:
        if resume_file:
            resume_file.save(reader.token)


async def _read_telemetry(
    client: ConsumerClient, partitions: list[str], start: Start
) -> AsyncGenerator[TailRecord, None]:
    decoder = BodyDecoder(READING)
    queue: asyncio.Queue[_Arrival] = asyncio.Queue(_QUEUED_BATCHES)
    tasks = [asyncio.create_task(_receive(client, one, start, queue)) for one in partitions]
    try:
        while True:
            arrival = await queue.get()
            if isinstance(arrival, Exception):
                raise arrival
            partition, events = arrival
            if isinstance(events, Gap):
                log.warning(
                    "events_expired",
                    hub=client.eventhub_name,
                    partition=int(partition),
                    first_sequence_number=events.first,
                    events=events.count,
                )
                continue
            for event in events:
                for record in _decode_event(decoder, int(partition), event):
                    yield record
    finally:
        await asyncio.gather(*map(cancel_until_done, tasks))


async def _receive(
    client: ConsumerClient, partition: str, start: Start, queue: asyncio.Queue[_Arrival]
) -> None:
    try:
        async for events in partition_events(client, partition, start.position):
            await queue.put((partition, events))
    except Exception as error:  # noqa: BLE001 - raised by the consumer of the queue
        await queue.put(error)


def _decode_event(decoder: BodyDecoder, partition: int, received: EventData) -> Iterator[TailRecord]:
    """Yield the records and the bad lines of an event, in the order of the lines."""
    event = read_event(received)
    decoded = decode_body(decoder, event)
    enqueued_at = datetime.fromtimestamp(event.enqueued_us / 1e6, UTC)
    records, extras = decoded.records, decoded.extras
    if decoded.batch is not None:
        rows = decoded.batch.to_pylist()
        extras = [row.pop("extra") for row in rows]
        records = [msgspec.convert(row, Reading) for row in rows]
    found = [
        *zip(decoded.lines, records, extras, strict=True),
        *((bad.line, bad, None) for bad in decoded.bad),
    ]
    for line, record, extra in sorted(found, key=lambda one: one[0]):
        place = Place(partition, event.sequence_number, event.offset, line, enqueued_at)
        # A record is of the stream's contract or a bad line.
        yield TailRecord(place, record, extra, event.content_type)  # type: ignore[arg-type]
