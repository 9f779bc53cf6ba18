"""Sends dead letters to their hub again, each exactly once, even with concurrent replays and crashes.

The order of effects: read the position of the hub's partition, write the intent with this position (the lake
accepts only one intent per number), send the letters, mark the intent as done.

A process that finds an intent that is not done waits for twice the lease of the intent's owner. If the intent
is still not done, the process takes it over, reads the hub from the noted position, and sends the letters
that are missing there. The previous owner sends nothing any more, because its lease ended before.
"""

import asyncio
import time
from collections.abc import Sequence

from services.cli.dead_letters.replay_log import Entry, Header, Intent, Lease, Replacement, ReplayLog
from shared.contract.dead_letter_id import DeadLetterId
from shared.lake.client import Lake
from shared.lake.slots.slot import ChainKey
from shared.service import failpoints
from shared.service.errors import NeedsAttention, SinkUnavailable
from shared.service.logs import log
from shared.service.tasks import within
from shared.streams.amqp_values import properties_from_json
from shared.streams.event_hubs.clients import ConsumerClient, consumer_client, read_created_at
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.messages import EventData, make_event
from shared.streams.event_hubs.partition_events import Gap, partition_events
from shared.streams.event_hubs.sender import PartitionSender

MAX_BODY_BYTES = 2**20 - 4_096  # an event's limit less its properties and annotations
# One intent and send, which is held in memory.
BATCH_LETTERS, BATCH_BYTES = 500, 8 * 2**20
_LOOK_AGAIN_S = 0.25


class ChainReplay:
    """Replays the dead letters of one chain into the partition of the hub that they came from."""

    def __init__(
        self, connection: HubConnection, lake: Lake, chain: ChainKey, hub: str, lease_s: float
    ) -> None:
        self._connection = connection
        self._hub = hub
        self._partition = str(chain.partition)
        self._lease_s = lease_s
        self._log = ReplayLog(lake, chain)
        self._known: dict[int, set[DeadLetterId]] = {}

    async def replay(self, batch: Sequence[Replacement]) -> int:
        """Ensure that each letter of a batch is in the hub once. Return how many letters this call sent.

        Raises NeedsAttention if a person must act. Raises SinkUnavailable if the hub or the lake did not
        answer in time; calling again with the same batch then continues.
        """
        while True:
            await self._finish_open_intents()
            known = await self._read_known()
            rest = [one for one in batch if one.id not in known]
            if not rest:
                return 0
            if await self._send_first(rest):
                return len(rest)

    async def _send_first(self, rest: Sequence[Replacement]) -> bool:
        """Write an intent for letters that are in no intent yet, and send them.

        Return False if another replay wrote an intent first; then the log must be read again.
        """
        async with self._open_sender() as sender:
            created_at = await self._read_created_at()
            began_s = time.monotonic()
            header = Header(Lease.new(self._lease_s), self._hub, created_at, sender.position)
            # A crash before this leaves nothing behind.
            number = await self._log.write_intent(Intent(header, rest))
            if number is None:
                return False
            failpoints.reach("replay_intended")
            # A crash from here on leaves an intent that the next replay goes on with.
            await self._send(sender, rest, began_s)
        await self._log.finish(number)
        return True

    async def _finish_open_intents(self) -> None:
        """Wait until every intent is done.

        An intent that its owner has not finished within twice the owner's lease is taken over and finished
        here.
        """
        seen_s: dict[tuple[int, int], float] = {}
        await self._log.read()
        while entries := self._log.open_entries:
            entry = entries[0]
            now_s = time.monotonic()
            waited_s = now_s - seen_s.setdefault((entry.number, entry.takeovers), now_s)
            # Only this process's clock is used: the owner began before its intent was seen.
            left_s = 2 * (await self._log.read_lease(entry)).lease_s - waited_s
            if left_s <= 0:
                if await self._log.take_over(entry, Lease.new(self._lease_s)):
                    await self._resume(entry, now_s)
            else:
                if not waited_s:
                    log.info(
                        "replay_awaited", partition=int(self._partition), number=entry.number, left_s=left_s
                    )
                await asyncio.sleep(min(left_s, _LOOK_AGAIN_S))
            await self._log.read()

    async def _resume(self, entry: Entry, began_s: float) -> None:
        """Send the letters of a taken-over intent that the hub does not have, and mark the intent as done.

        Raises NeedsAttention if the hub was re-created since the intent was written, or no longer retains all
        events after the intent's position.
        """
        intent = await self._log.read_intent(entry.number)
        failpoints.reach("replay_taken")
        if intent.header.hub_created_at != await self._read_created_at():
            raise NeedsAttention(self._unknown_outcome(entry, "was re-created since"))
        landed = await self._read_landed(entry, intent)
        rest = [one for one in intent.replacements if one.id not in landed]
        if rest:
            async with self._open_sender() as sender:
                sender.position = intent.header.position
                await self._send(sender, rest, began_s)
        await self._log.finish(entry.number)
        log.info("replay_resumed", number=entry.number, landed=len(landed), resent=len(rest))

    async def _read_landed(self, entry: Entry, intent: Intent) -> set[DeadLetterId]:
        """Return the ids of those letters of an intent that are in the hub."""
        landed: set[DeadLetterId | None] = set()
        async with self._open_consumer() as client:
            known = await client.get_partition_properties(self._partition)
            last = int(known["last_enqueued_sequence_number"])
            async for events in partition_events(client, self._partition, intent.header.position, last):
                if isinstance(events, Gap):
                    raise NeedsAttention(
                        self._unknown_outcome(entry, f"no longer has the events from {events.first} on")
                    )
                landed.update(map(_letter_of, events))
        return {one.id for one in intent.replacements} & landed

    async def _send(self, sender: PartitionSender, rest: Sequence[Replacement], began_s: float) -> None:
        left_s = began_s + self._lease_s - time.monotonic()
        try:
            await within(left_s, sender.send([_make_event(one) for one in rest]))
        except TimeoutError as error:
            place = f"hub {self._hub}, partition {self._partition}"
            raise SinkUnavailable(
                f"{place} did not take the replay in time: replay again to go on"
            ) from error
        failpoints.reach("replay_sent")

    async def _read_known(self) -> set[DeadLetterId]:
        """Return the ids of all letters that are in an intent of the log."""
        for number in self._log.entries.keys() - self._known.keys():
            intent = await self._log.read_intent(number)
            self._known[number] = {one.id for one in intent.replacements}
        return set().union(*self._known.values())

    def _open_sender(self) -> PartitionSender:
        return PartitionSender(self._connection, self._hub, self._partition, _letter_of)

    def _open_consumer(self) -> ConsumerClient:
        return consumer_client(self._connection, self._hub, "$Default")

    async def _read_created_at(self) -> str:
        async with self._open_consumer() as client:
            return (await read_created_at(client)).isoformat().replace("+00:00", "Z")

    def _unknown_outcome(self, entry: Entry, cause: str) -> str:
        replay = f"replay {entry.number} of partition {self._partition}"
        return f"hub {self._hub} {cause}: whether {replay} came there is not known"


def _letter_of(event: EventData) -> DeadLetterId | None:
    return DeadLetterId.from_properties(event.properties)


def _make_event(replacement: Replacement) -> EventData:
    properties = properties_from_json(replacement.properties or {}) | replacement.id.properties()
    return make_event(replacement.body, replacement.content_type, properties, replacement.content_encoding)
