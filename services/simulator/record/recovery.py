"""Recovery after a crash: sends without an acknowledgement are looked up in the hub and completed."""

from collections.abc import AsyncIterator, Callable, Iterable

import numpy as np

from services.simulator.bad_bodies import bad_bodies
from services.simulator.clock import to_epoch_us
from services.simulator.encoder import EventFormat, build_bad_event, encode_events
from services.simulator.publisher import PartitionOutput
from services.simulator.record.partition_record import BadIntent, Intent
from services.simulator.schedule import DueReadings
from shared.codec.body_decoder import BodyDecoder
from shared.contract.columns import READING
from shared.service.logs import log
from shared.streams.event import decode_body
from shared.streams.event_hubs.clients import ConsumerClient
from shared.streams.event_hubs.messages import EventData, read_event
from shared.streams.event_hubs.partition_events import Gap, partition_events
from shared.vehicles.fleet import vehicle_id
from shared.vehicles.telemetry import Telemetry

Key = tuple[str, int]


class Recovery:
    """A resolver of the sends that an earlier process left unresolved, to be used before any new send."""

    def __init__(
        self,
        reader: ConsumerClient,
        event_format: EventFormat,
        make_telemetry: Callable[[int, int], Telemetry],
    ) -> None:
        self._reader = reader
        self._form = event_format
        self._make_telemetry = make_telemetry  # (seed, minimum size of the fleet)

    async def resolve(self, output: PartitionOutput) -> None:
        """Ensure that each unresolved reading and bad body is in the hub, then acknowledge the intents.

        What is found in the hub is not sent again. But if events after an intent's position have expired,
        what was in them is sent twice. A crash in here costs nothing: the intent is still unresolved, and the
        next start looks again.
        """
        readings, bad = output.record.unresolved, output.bad_record.unresolved
        positions = [intent.position for intent in (readings, bad) if intent is not None]
        if not positions:
            return
        tail = [event async for event in self._read_tail(output, min(positions))]
        if readings is not None:
            await self._resolve_readings(output, readings, tail)
        if bad is not None:
            await _resolve_bad_bodies(output, bad, tail)

    async def _resolve_readings(
        self, output: PartitionOutput, intent: Intent, tail: Iterable[EventData]
    ) -> None:
        decoder = BodyDecoder(READING)
        landed = {key for event in tail for key in decode_keys(decoder, event)}
        lost = [
            index
            for index, (vehicle, reading_no) in enumerate(intent.readings)
            if (vehicle_id(intent.seed, vehicle), reading_no) not in landed
        ]
        if lost:
            telemetry = self._make_telemetry(intent.seed, 1 + max(vehicle for vehicle, _ in intent.readings))
            due = select_readings(intent, lost)
            await output.sender.send(encode_events(self._form, telemetry, due, to_epoch_us(intent.first_at)))
        output.record.ack()
        log.info(
            "intent_resolved",
            partition=output.partition,
            intent=intent.intent,
            landed=len(intent.readings) - len(lost),
            resent=len(lost),
        )

    async def _read_tail(self, output: PartitionOutput, position: int) -> AsyncIterator[EventData]:
        """Yield the partition's events after `position` that were there when its sender opened."""
        partition_id = str(output.partition)
        async for events in partition_events(self._reader, partition_id, position, output.sender.position):
            if isinstance(events, Gap):
                # Readings that had landed there are sent again: their keys show the duplicates; none is lost.
                log.warning(
                    "events_expired",
                    hub=self._reader.eventhub_name,
                    partition=output.partition,
                    first_sequence_number=events.first,
                    events=events.count,
                )
                continue
            for event in events:
                yield event


async def _resolve_bad_bodies(output: PartitionOutput, intent: BadIntent, tail: Iterable[EventData]) -> None:
    landed = {event.message_id for event in tail}
    bodies = bad_bodies(intent.seed, output.partition, intent.bad_intent, intent.count)
    lost = [build_bad_event(body) for body in bodies if body.message_id not in landed]
    if lost:
        await output.sender.send(lost)
    output.bad_record.ack()
    log.info(
        "bad_intent_resolved",
        partition=output.partition,
        intent=intent.bad_intent,
        landed=len(bodies) - len(lost),
        resent=len(lost),
    )


def decode_keys(decoder: BodyDecoder, event: EventData) -> list[Key]:
    """Return the (vehicle_id, reading_no) of every reading in an event, whichever program sent it."""
    decoded = decode_body(decoder, read_event(event))
    if decoded.batch is not None:
        ids, numbers = (decoded.batch.column(name).to_pylist() for name in ("vehicle_id", "reading_no"))
        return list(zip(ids, numbers, strict=True))
    # A decoder of READING returns Readings.
    return [(record.vehicle_id, record.reading_no) for record in decoded.records]  # type: ignore[attr-defined]


def select_readings(intent: Intent, indexes: list[int]) -> DueReadings:
    """Return the readings of an intent at `indexes`, with their scheduled times."""
    readings = np.array(intent.readings, np.int64)[indexes]
    return DueReadings(readings[:, 0], readings[:, 1], np.array(intent.after_us, np.int64)[indexes])
