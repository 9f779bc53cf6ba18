"""Sending dead letters to their hub again, each once, whoever else does the same and whoever dies meanwhile.

The order of effects: the hub's position, the intent (the lake lets one through), the send, the done mark.
Who finds an intent that is not done waits for its process, for twice as long as that said it would try, then
takes over, looks in the hub from the position on, and sends what is not there. A process that was overtaken
no longer sends: it gave up before.
"""

import asyncio
import time
from collections.abc import Sequence

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient

from services.cli.dead_letters.replay_log import Entry, Header, Intent, Lease, Replacement, ReplayLog
from shared.contract.dead_letter_id import DeadLetterId
from shared.lake.client import Lake
from shared.lake.slots.slot import ChainKey
from shared.service import failpoints
from shared.service.errors import NeedsAttention, SinkUnavailable
from shared.service.logs import log
from shared.service.tasks import within
from shared.streams.event_hubs.clients import consumer_client, hub_created_at
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.partition_events import Gap, partition_events
from shared.streams.event_hubs.sender import PartitionSender

MAX_BODY_BYTES = 2**20 - 4_096  # what an event holds beside its body: properties, annotations
# What is sent and noted at one go, and so held in memory.
BATCH_LETTERS, BATCH_BYTES = 500, 8 * 2**20
_LOOK_AGAIN_S = 0.25


class LaneReplay:
    """Replays letters of one lane into the same partition of a hub."""

    def __init__(
        self, connection: HubConnection, lake: Lake, lane: ChainKey, hub: str, lease_s: float
    ) -> None:
        self._connection = connection
        self._hub = hub
        self._partition = str(lane.partition)
        self._lease_s = lease_s
        self._log = ReplayLog(lake, lane)
        self._known: dict[int, set[DeadLetterId]] = {}

    async def replay(self, batch: Sequence[Replacement]) -> int:
        """Have each of a batch in the hub once; how many this sent, for others had been sent before.

        Raises NeedsAttention where a person must look, SinkUnavailable where the hub or the lake did not
        answer: then the same again goes on where this ended.
        """
        while True:
            await self._finish_open_intents()
            taken = await self._taken()
            rest = [one for one in batch if one.id not in taken]
            if not rest:
                return 0
            if await self._send_first(rest):
                return len(rest)

    async def _send_first(self, rest: Sequence[Replacement]) -> bool:
        """Send what nobody has taken on; False where somebody was first with something: look again."""
        async with self._sender() as sender:
            created_at = await self._created_at()
            began_s = time.monotonic()
            header = Header(Lease.new(self._lease_s), self._hub, created_at, sender.position)
            # A crash before this leaves nothing behind.
            number = await self._log.intend(Intent(header, rest))
            if number is None:
                return False
            failpoints.reach("replay_intended")
            # A crash from here on leaves an intent that whoever comes next goes on with.
            await self._send(sender, rest, began_s)
        await self._log.finish(number)
        return True

    async def _finish_open_intents(self) -> None:
        """Return once every intent is done: by its own process, or by this one after it went silent."""
        seen_s: dict[tuple[int, int], float] = {}
        await self._log.read()
        while entries := self._log.open_entries:
            entry = entries[0]
            now_s = time.monotonic()
            waited_s = now_s - seen_s.setdefault((entry.number, entry.takeovers), now_s)
            # No clock but this process's own is asked: the other began before it was seen.
            left_s = 2 * (await self._log.lease(entry)).lease_s - waited_s
            if left_s <= 0:
                if await self._log.take_over(entry, Lease.new(self._lease_s)):
                    await self._go_on(entry, now_s)
            else:
                if not waited_s:
                    log.info("replay_awaited", partition=self._partition, number=entry.number, left_s=left_s)
                await asyncio.sleep(min(left_s, _LOOK_AGAIN_S))
            await self._log.read()

    async def _go_on(self, entry: Entry, began_s: float) -> None:
        """Send what the hub does not have of an intent whose process is gone."""
        intent = await self._log.intent(entry.number)
        failpoints.reach("replay_taken")
        if intent.header.hub_created_at != await self._created_at():
            raise NeedsAttention(self._lost_sight(entry, "was re-created since"))
        landed = await self._landed(entry, intent)
        rest = [one for one in intent.replacements if one.id not in landed]
        if rest:
            async with self._sender() as sender:
                sender.position = intent.header.position
                await self._send(sender, rest, began_s)
        await self._log.finish(entry.number)
        log.info("replay_resumed", number=entry.number, landed=len(landed), resent=len(rest))

    async def _landed(self, entry: Entry, intent: Intent) -> set[DeadLetterId]:
        """What the hub has of an intent."""
        landed: set[DeadLetterId | None] = set()
        async with self._consumer() as client:
            known = await client.get_partition_properties(self._partition)
            last = int(known["last_enqueued_sequence_number"])
            async for events in partition_events(client, self._partition, intent.header.position, last):
                if isinstance(events, Gap):
                    raise NeedsAttention(
                        self._lost_sight(entry, f"no longer has the events from {events.first} on")
                    )
                landed.update(map(_replayed_in, events))
        return {one.id for one in intent.replacements} & landed

    async def _send(self, sender: PartitionSender, rest: Sequence[Replacement], began_s: float) -> None:
        left_s = began_s + self._lease_s - time.monotonic()
        try:
            await within(left_s, sender.send([_event(one) for one in rest]))
        except TimeoutError as error:
            place = f"hub {self._hub}, partition {self._partition}"
            raise SinkUnavailable(
                f"{place} did not take the replay in time: replay again to go on"
            ) from error
        failpoints.reach("replay_sent")

    async def _taken(self) -> set[DeadLetterId]:
        """All letters in the log."""
        for number in self._log.entries.keys() - self._known.keys():
            intent = await self._log.intent(number)
            self._known[number] = {one.id for one in intent.replacements}
        return set().union(*self._known.values())

    def _sender(self) -> PartitionSender:
        return PartitionSender(self._connection, self._hub, self._partition, _replayed_in)

    def _consumer(self) -> EventHubConsumerClient:
        return consumer_client(self._connection, self._hub, "$Default")

    async def _created_at(self) -> str:
        async with self._consumer() as client:
            return (await hub_created_at(client)).isoformat().replace("+00:00", "Z")

    def _lost_sight(self, entry: Entry, what: str) -> str:
        replay = f"replay {entry.number} of partition {self._partition}"
        return f"hub {self._hub} {what}: whether {replay} came there is not known"


def _replayed_in(event: EventData) -> DeadLetterId | None:
    return DeadLetterId.from_properties(event.properties)


def _event(replacement: Replacement) -> EventData:
    event = EventData(replacement.body)
    if replacement.content_type is not None:
        event.content_type = replacement.content_type
    event.properties = replacement.id.properties()
    return event
