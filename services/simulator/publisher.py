"""The sends of one partition: due readings are recorded, sent to the hub, and recorded as acknowledged."""

import asyncio
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge, Histogram

from services.simulator.bad_bodies import bad_bodies, count_bad
from services.simulator.clock import Clock, from_epoch_us
from services.simulator.encoder import EventFeed, EventFormat, build_bad_event
from services.simulator.record.partition_record import BadBodyRecord, BadIntent, Intent, PartitionRecord
from services.simulator.schedule import DueReadings, Packing, Schedule
from shared.service import failpoints
from shared.streams.event_hubs.messages import EventData
from shared.streams.event_hubs.sender import PartitionSender
from shared.vehicles.telemetry import Telemetry

READINGS_SENT = Counter("fleetprice_simulator_sent_readings_total", "Readings that the hub has accepted")
BAD_SENT = Counter(
    "fleetprice_simulator_sent_bad_bodies_total", "Bodies bad on purpose that the hub has accepted"
)
SEND_SECONDS = Histogram(
    "fleetprice_simulator_send_seconds",
    "From a send to the hub's answer, retries included",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LATENESS = Gauge(
    "fleetprice_simulator_send_lateness_seconds",
    "How late the oldest reading of the last send was, against its schedule",
    ["partition"],
)

_MAX_READINGS_A_SEND = 512
# No pause is longer, so that a stop is noticed quickly.
_MAX_PAUSE_S = 0.05
_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class PartitionOutput:
    """The sender and the records of one partition."""

    partition: int
    sender: PartitionSender
    record: PartitionRecord
    bad_record: BadBodyRecord


@dataclass(slots=True)
class Publisher:
    """A sender of one partition's scheduled readings.

    Due readings are gathered and sent every `tick_us` microseconds, or as soon as each is due if `tick_us` is
    0.
    """

    output: PartitionOutput
    schedule: Schedule
    telemetry: Telemetry
    event_format: EventFormat
    packing: Packing
    tick_us: int
    bad_share: float
    sent: int = field(default=0, init=False)

    async def run(self, clock: Clock, stop: asyncio.Event) -> None:
        """Send until `stop` or the end of the schedule; a send in flight at a stop is still finished."""
        feed = EventFeed(self.schedule, self.telemetry, clock.anchor_us, self.event_format)
        while not stop.is_set() and self.sent != self.schedule.total:
            now_us = clock.elapsed_us()
            if count := self._count_ready(now_us):
                await self._send(feed, clock, count)
            if count < _MAX_READINGS_A_SEND:
                await asyncio.sleep(self._pause_s(clock, now_us))

    def _count_ready(self, now_us: int) -> int:
        """Return how many readings to send now: at most one send's limit, rounded up to whole packs."""
        due = self.schedule.count_due(now_us)
        ready = self.packing.count_ready(self.schedule, self.sent, due, now_us)
        return min(ready, -(-_MAX_READINGS_A_SEND // self.packing.pack) * self.packing.pack)

    def _pause_s(self, clock: Clock, now_us: int) -> float:
        """Return the seconds to sleep until the first tick after `now_us` at which readings are ready.

        The pause is limited, so that a stop is noticed quickly.
        """
        if self.sent == self.schedule.total:
            return 0
        until_us = max(now_us + 1, self.packing.next_ready_us(self.schedule, self.sent))
        if self.tick_us:
            # Ticks are the same for all partitions: waking once for all costs half of waking once for each.
            until_us = -(-until_us // self.tick_us) * self.tick_us
        return min(_MAX_PAUSE_S, max(0, until_us - clock.elapsed_us()) / _US_PER_S)

    async def _send(self, feed: EventFeed, clock: Clock, count: int) -> None:
        """Record the intent, send, and record the acknowledgement, in this order.

        After a crash before the intent is recorded, the readings are skipped along with their scheduled
        times. After a crash between the intent and the acknowledgement, the next start looks in the hub for
        the readings and sends those that are not there.
        """
        due, events = feed.encode(self.sent, count)
        first_us, record = feed.anchor_us + int(due.offsets_us[0]), self.output.record
        record.intend(self._make_intent(due, first_us))
        lateness_us = clock.anchor_us + clock.elapsed_us() - first_us
        LATENESS.labels(self.output.partition).set(lateness_us / _US_PER_S)
        await self._send_to_hub(events)
        failpoints.reach("simulator_acked")
        record.ack()
        READINGS_SENT.inc(count)
        self.sent += count
        await self._send_bad(record.next_intent - 1, count)

    def _make_intent(self, due: DueReadings, first_us: int) -> Intent:
        return Intent(
            intent=self.output.record.next_intent,
            position=self.output.sender.position,
            seed=self.telemetry.fleet.seed,
            first_at=from_epoch_us(first_us),
            readings=list(zip(due.vehicles.tolist(), due.reading_nos.tolist(), strict=True)),
            after_us=(due.offsets_us - due.offsets_us[0]).tolist(),
        )

    async def _send_bad(self, intent: int, readings: int) -> None:
        """Send the bad bodies that go with the readings of intent `intent`.

        The steps are those of a send of readings: record the intent, send, record the acknowledgement.
        """
        partition, record, seed = self.output.partition, self.output.bad_record, self.telemetry.fleet.seed
        count = count_bad(seed, partition, intent, readings, self.bad_share)
        if not count:
            return
        bad_intent = BadIntent(record.next_intent, self.output.sender.position, seed, count)
        record.intend(bad_intent)
        bodies = bad_bodies(seed, partition, bad_intent.bad_intent, count)
        await self._send_to_hub([build_bad_event(body) for body in bodies])
        record.ack()
        BAD_SENT.inc(count)

    async def _send_to_hub(self, events: list[EventData]) -> None:
        with SEND_SECONDS.time():
            await self.output.sender.send(events)
