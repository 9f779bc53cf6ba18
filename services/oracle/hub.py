"""The hubs, read as any client reads them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.oracle.keys import Ints, VehicleCodes, joined
from services.oracle.predictions import Predictions
from services.oracle.readings import keys_in
from shared.contract.bodies import BodyDecoder
from shared.contract.columns import READING, batch_of
from shared.hubs.clients import body_of, consumer_client
from shared.hubs.partition_stream import Gap, partition_events
from shared.hubs.predictions import PredictionReader, ResumeToken
from shared.hubs.watermark import Mark
from shared.settings import WorldSettings

_GROUP = "$Default"


@dataclass(frozen=True, slots=True)
class Span:
    """The events that a partition retains: `first` to `last`; none where first = last + 1."""

    first: int
    last: int


async def retained_spans(settings: WorldSettings, hub: str) -> dict[str, Span]:
    """What each partition of a hub retains now."""
    async with consumer_client(settings, hub, _GROUP) as client:
        ids = await client.get_partition_ids()
        found = await asyncio.gather(*map(client.get_partition_properties, ids))
    return {
        one["id"]: Span(
            one["last_enqueued_sequence_number"] + 1 if one["is_empty"] else one["beginning_sequence_number"],
            one["last_enqueued_sequence_number"],
        )
        for one in found
    }


async def read_predictions(
    settings: WorldSettings, spans: Mapping[str, Span], marks: Mapping[int, Mark], into: Predictions
) -> int:
    """Every prediction retained, through the client library; how many there are, doubles included.

    `marks` is how far a client had read before.
    """
    reader = PredictionReader(
        settings,
        token=ResumeToken({partition: span.first - 1 for partition, span in spans.items()}, dict(marks)),
        until={partition: span.last for partition, span in spans.items()},
    )
    async for received in reader:
        into.take(received.prediction, received.enqueued_at - received.prediction.reading_at)
    into.raw += reader.predictions
    return reader.predictions


async def waiting_keys(
    settings: WorldSettings, spans: Mapping[str, Span], next_firsts: Mapping[str, int], codes: VehicleCodes
) -> Ints:
    """Readings in the telemetry hub that the lake has not come to yet, ascending."""
    decoder = BodyDecoder(READING)
    pieces: list[Ints] = []
    async with consumer_client(settings, settings.telemetry_hub, _GROUP) as client:
        for partition, span in spans.items():
            after = max(next_firsts.get(partition, 0), span.first) - 1
            async for events in partition_events(client, partition, after, span.last):
                if isinstance(events, Gap):
                    continue
                for event in events:
                    decoded = decoder.decode(body_of(event), event.content_type)
                    batch = decoded.batch or batch_of(READING, decoded.records, decoded.extras)
                    pieces.append(keys_in(batch, codes))
    return np.unique(joined(pieces))
