"""One partition's sends: what is due goes to the hub, noted before and after."""

import asyncio
from dataclasses import dataclass, field

from azure.eventhub import EventData
from prometheus_client import Counter, Gauge, Histogram

from services.simulator.bad_bodies import bad_bodies, count_bad
from services.simulator.clock import Clock, instant
from services.simulator.encoder import EventFeed, EventFormat, bad_event
from services.simulator.record.partition_record import BadBodyRecord, BadIntent, Intent, PartitionRecord
from services.simulator.schedule import Due, Packing, Schedule
from services.simulator.vehicles.telemetry import Telemetry
from shared.service import failpoints
from shared.streams.event_hubs.sender import PartitionSender

READINGS_SENT = Counter("fleetprice_readings_sent_total", "Readings that the hub has accepted")
BAD_SENT = Counter("fleetprice_bad_bodies_sent_total", "Bodies bad on purpose that the hub has accepted")
SEND_SECONDS = Histogram(
    "fleetprice_send_seconds",
    "From a send to the hub's answer, retries included",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LATENESS = Gauge(
    "fleetprice_send_lateness_seconds",
    "How late the oldest reading of the last send was, against its schedule",
    ["partition"],
)

_MAX_READINGS_A_SEND = 512
# A pause is cut into pieces of this length, so that a stop need not wake anybody to be quick.
_LONGEST_PAUSE_S = 0.05
_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class PartitionOutput:
    """One partition: where its events go and where that is recorded."""

    partition: int
    sender: PartitionSender
    record: PartitionRecord
    bad_record: BadBodyRecord


@dataclass(slots=True)
class Publisher:
    """Sends the readings of one partition's schedule, gathered every `tick_us` (0: each when it is due)."""

    outlet: PartitionOutput
    schedule: Schedule
    telemetry: Telemetry
    form: EventFormat
    packing: Packing
    tick_us: int
    bad_share: float
    sent: int = field(default=0, init=False)

    async def run(self, clock: Clock, stop: asyncio.Event) -> None:
        """Until stopped or through; a send in flight at the stop is finished and recorded."""
        feed = EventFeed(self.schedule, self.telemetry, clock.anchor_us, self.form)
        while not stop.is_set() and self.sent != self.schedule.total:
            now_us = clock.elapsed_us()
            if count := self._ready(now_us):
                await self._send(feed, clock, count)
            if count < _MAX_READINGS_A_SEND:
                await asyncio.sleep(self._pause_s(clock, now_us))

    def _ready(self, now_us: int) -> int:
        """How many readings go now; no more than one send holds, and then whole packs."""
        due = self.schedule.due(now_us)
        ready = self.packing.ready(self.schedule, self.sent, due, now_us)
        return min(ready, -(-_MAX_READINGS_A_SEND // self.packing.pack) * self.packing.pack)

    def _pause_s(self, clock: Clock, now_us: int) -> float:
        """Until the first tick after `now_us` at which there is something to send."""
        if self.sent == self.schedule.total:
            return 0
        until_us = max(now_us + 1, self.packing.next_ready_us(self.schedule, self.sent))
        if self.tick_us:
            # Ticks are the same for all partitions: one waking for all costs half of one for each.
            until_us = -(-until_us // self.tick_us) * self.tick_us
        return min(_LONGEST_PAUSE_S, max(0, until_us - clock.elapsed_us()) / _US_PER_S)

    async def _send(self, feed: EventFeed, clock: Clock, count: int) -> None:
        """Intent, send, acknowledgement, in this order.

        A crash before the intent: nothing happened, the readings are skipped with their scheduled times.
        Between intent and acknowledgement: the next start looks in the hub and sends what is not there.
        """
        due, events = feed.take(self.sent, count)
        first_us, record = feed.anchor_us + int(due.offsets_us[0]), self.outlet.record
        record.intend(self._intent(due, first_us))
        lateness_us = clock.anchor_us + clock.elapsed_us() - first_us
        LATENESS.labels(self.outlet.partition).set(lateness_us / _US_PER_S)
        await self._into_hub(events)
        failpoints.reach("simulator_acked")
        record.ack()
        READINGS_SENT.inc(count)
        self.sent += count
        await self._send_bad(record.next_intent - 1, count)

    def _intent(self, due: Due, first_us: int) -> Intent:
        return Intent(
            intent=self.outlet.record.next_intent,
            position=self.outlet.sender.position,
            seed=self.telemetry.fleet.seed,
            first_at=instant(first_us),
            readings=list(zip(due.vehicles.tolist(), due.reading_nos.tolist(), strict=True)),
            after_us=(due.offsets_us - due.offsets_us[0]).tolist(),
        )

    async def _send_bad(self, intent: int, readings: int) -> None:
        """Bad bodies in the company of the readings of `intent`, recorded apart in the same order."""
        partition, record, seed = self.outlet.partition, self.outlet.bad_record, self.telemetry.fleet.seed
        count = count_bad(seed, partition, intent, readings, self.bad_share)
        if not count:
            return
        bad_intent = BadIntent(record.next_intent, self.outlet.sender.position, seed, count)
        record.intend(bad_intent)
        bodies = bad_bodies(seed, partition, bad_intent.bad_intent, count)
        await self._into_hub([bad_event(body) for body in bodies])
        record.ack()
        BAD_SENT.inc(count)

    async def _into_hub(self, events: list[EventData]) -> None:
        with SEND_SECONDS.time():
            await self.outlet.sender.send(events)
