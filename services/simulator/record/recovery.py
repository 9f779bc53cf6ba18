"""After a crash: what became of the sends that nobody acknowledged is looked up in the hub, and mended."""

from collections.abc import AsyncIterator, Callable, Iterable

import numpy as np
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient

from services.simulator.bad_bodies import bad_bodies
from services.simulator.clock import epoch_us
from services.simulator.encoder import EventFormat, bad_event, events_of
from services.simulator.publisher import PartitionOutput
from services.simulator.record.partition_record import BadIntent, Intent
from services.simulator.schedule import Due
from services.simulator.vehicles.fleet import vehicle_id
from services.simulator.vehicles.telemetry import Telemetry
from shared.codec.bodies import BodyDecoder
from shared.contract.columns import READING
from shared.service.logs import log
from shared.streams.event_hubs.clients import body_of, content_type_of
from shared.streams.event_hubs.partition_events import Gap, partition_events

Key = tuple[str, int]


class Recovery:
    """Resolves what the record of one life left open, before the next one sends anything of its own."""

    def __init__(
        self,
        reader: EventHubConsumerClient,
        form: EventFormat,
        telemetry_of: Callable[[int, int], Telemetry],
    ) -> None:
        self._reader = reader
        self._form = form
        self._telemetry_of = telemetry_of  # (seed, least size of the fleet)

    async def resolve(self, outlet: PartitionOutput) -> None:
        """Have every reading and bad body that was intended in the hub once, and acknowledged.

        A crash in here costs nothing: the intent is still open, and the next start looks again.
        """
        readings, bad = outlet.record.unresolved, outlet.bad_record.unresolved
        positions = [intent.position for intent in (readings, bad) if intent is not None]
        if not positions:
            return
        tail = [event async for event in self._tail(outlet, min(positions))]
        if readings is not None:
            await self._resolve_readings(outlet, readings, tail)
        if bad is not None:
            await _resolve_bad_bodies(outlet, bad, tail)

    async def _resolve_readings(
        self, outlet: PartitionOutput, intent: Intent, tail: Iterable[EventData]
    ) -> None:
        decoder = BodyDecoder(READING)
        landed = {key for event in tail for key in keys_in(decoder, event)}
        lost = [
            place
            for place, (vehicle, reading_no) in enumerate(intent.readings)
            if (vehicle_id(intent.seed, vehicle), reading_no) not in landed
        ]
        if lost:
            telemetry = self._telemetry_of(intent.seed, 1 + max(vehicle for vehicle, _ in intent.readings))
            due = due_of(intent, lost)
            await outlet.sender.send(events_of(self._form, telemetry, due, epoch_us(intent.first_at)))
        outlet.record.ack()
        log.info(
            "intent_resolved",
            partition=outlet.partition,
            intent=intent.intent,
            landed=len(intent.readings) - len(lost),
            resent=len(lost),
        )

    async def _tail(self, outlet: PartitionOutput, position: int) -> AsyncIterator[EventData]:
        """What was in the partition after `position` when its sender opened."""
        partition_id = str(outlet.partition)
        async for events in partition_events(self._reader, partition_id, position, outlet.sender.position):
            if isinstance(events, Gap):
                # What had landed there will be sent again: a double, which its key tells, and no loss.
                log.warning("tail_expired", partition=outlet.partition, count=events.count)
                continue
            for event in events:
                yield event


async def _resolve_bad_bodies(outlet: PartitionOutput, intent: BadIntent, tail: Iterable[EventData]) -> None:
    landed = {event.message_id for event in tail}
    bodies = bad_bodies(intent.seed, outlet.partition, intent.bad_intent, intent.count)
    lost = [bad_event(body) for body in bodies if body.message_id not in landed]
    if lost:
        await outlet.sender.send(lost)
    outlet.bad_record.ack()
    log.info(
        "bad_intent_resolved",
        partition=outlet.partition,
        intent=intent.bad_intent,
        landed=len(bodies) - len(lost),
        resent=len(lost),
    )


def keys_in(decoder: BodyDecoder, event: EventData) -> list[Key]:
    """The (vehicle_id, reading_no) of every reading in an event, whoever sent it."""
    decoded = decoder.decode(body_of(event), content_type_of(event))
    if decoded.batch is not None:
        ids, numbers = (decoded.batch.column(name).to_pylist() for name in ("vehicle_id", "reading_no"))
        return list(zip(ids, numbers, strict=True))
    # A decoder of READING gives Readings.
    return [(record.vehicle_id, record.reading_no) for record in decoded.records]  # type: ignore[attr-defined]


def due_of(intent: Intent, places: list[int]) -> Due:
    """Some of an intent's readings, at the times that it promised them for."""
    readings = np.array(intent.readings, np.int64)[places]
    return Due(readings[:, 0], readings[:, 1], np.array(intent.after_us, np.int64)[places])
