"""Reads the hubs through the SDK, as any client does."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from services.cli.verify.keys import Ints, VehicleCodes, join
from services.cli.verify.predictions import Predictions
from services.cli.verify.readings import read_keys
from shared.codec.body_decoder import BodyDecoder
from shared.codec.record_batches import build_batch
from shared.contract.columns import READING
from shared.predictions.reader import PredictionReader
from shared.service.settings import ConnectionSettings
from shared.service.tasks import cancel_until_done
from shared.streams.event import decode_body
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.messages import read_event
from shared.streams.event_hubs.partition_events import Gap, partition_events

_GROUP = "$Default"


@dataclass(frozen=True, slots=True)
class Span:
    """The events that a partition retains, `first` to `last` inclusive; no events if first = last + 1."""

    first: int
    last: int


async def read_retained_spans(settings: ConnectionSettings, hub: str) -> dict[str, Span]:
    """Return the events that each partition of a hub retains now."""
    async with consumer_client(HubConnection.from_settings(settings), hub, _GROUP) as client:
        ids: Sequence[str] = await client.get_partition_ids()
        found = await asyncio.gather(*map(client.get_partition_properties, ids))
    return {
        one["id"]: Span(
            one["last_enqueued_sequence_number"] + 1 if one["is_empty"] else one["beginning_sequence_number"],
            one["last_enqueued_sequence_number"],
        )
        for one in found
    }


class Follower:
    """A background task that reads all predictions that the hub retains, and those that arrive later."""

    def __init__(self, reader: PredictionReader, into: Predictions) -> None:
        self._reader = reader
        self._into = into
        self.reading = asyncio.create_task(self._read())

    async def read_through(self, spans: Mapping[str, Span]) -> int:
        """Read up to the last event of each span. Return the number of predictions read, doubles included.

        Raises the error that ended the background task if the task failed.
        """
        ends = {partition: span.last if span.first <= span.last else -1 for partition, span in spans.items()}
        await self._reader.end_at(ends)
        ended = asyncio.create_task(self._reader.ended.wait())
        await asyncio.wait((ended, self.reading), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if self.reading.done():
            self.reading.result()  # raises what ended it early
        self._into.raw = self._reader.predictions
        return self._reader.predictions

    @property
    def is_ended(self) -> bool:
        """Return whether the reader has reached its requested end; it then closes its links by itself."""
        return self._reader.ended.is_set()

    async def _read(self) -> None:
        async for received in self._reader:
            self._into.add(received.prediction, received.enqueued_at - received.prediction.reading_at)


@asynccontextmanager
async def follow_predictions(settings: ConnectionSettings, into: Predictions) -> AsyncIterator[Follower]:
    """Read predictions into `into` in the background until the block ends.

    At the end of the block the links are closed, which takes a second.
    """
    follower = Follower(
        PredictionReader(HubConnection.from_settings(settings), settings.predictions_hub), into
    )
    try:
        yield follower
    finally:
        if not follower.is_ended:
            await cancel_until_done(follower.reading)
        await asyncio.gather(follower.reading, return_exceptions=True)


async def read_waiting_keys(
    settings: ConnectionSettings,
    spans: Mapping[str, Span],
    next_firsts: Mapping[str, int],
    codes: VehicleCodes,
) -> Ints:
    """Return the ascending keys of the readings in the telemetry hub that are not yet in the lake.

    `next_firsts` has, by partition, the sequence number after the lake's last event.
    """
    decoder = BodyDecoder(READING)
    pieces: list[Ints] = []
    async with consumer_client(
        HubConnection.from_settings(settings), settings.telemetry_hub, _GROUP
    ) as client:
        for partition, span in spans.items():
            after = max(next_firsts.get(partition, 0), span.first) - 1
            async for events in partition_events(client, partition, after, span.last):
                if isinstance(events, Gap):
                    continue
                for event in events:
                    decoded = decode_body(decoder, read_event(event))
                    batch = decoded.batch or build_batch(READING, decoded.records, decoded.extras)
                    pieces.append(read_keys(batch, codes))
    return np.unique(join(pieces))
