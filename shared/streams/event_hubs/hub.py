"""A hub's properties: its identity, and the bounds of its partitions."""

import asyncio
from datetime import UTC, datetime

from shared.service.errors import HubRecreated, Refused, SourceUnavailable
from shared.service.tasks import within
from shared.streams.event_hubs.clients import ConsumerClient
from shared.streams.event_hubs.errors import mapped_errors
from shared.streams.hub_properties import HubProperties, PartitionBounds

_ANSWER_TIMEOUT_S = 5.0


class Hub:
    """One hub, read by one consumer group.

    Its methods raise SourceUnavailable if the hub does not answer and Refused if it denies access.
    """

    def __init__(self, client: ConsumerClient, group: str) -> None:
        self.client = client
        self.name: str = client.eventhub_name
        self.group = group
        self._asking: asyncio.Task[HubProperties] | None = None

    async def describe(self) -> HubProperties:
        """Return the hub's properties, read after this call began; concurrent callers share a request.

        So if the hub's identity is unchanged, all events received before the call came from that hub.
        """
        earlier = self._asking
        if earlier is not None:
            await asyncio.wait([earlier])
        asking = self._asking
        if asking is None or asking is earlier:
            asking = self._asking = asyncio.create_task(self._describe())
            asking.add_done_callback(_retrieve)
        return await asyncio.shield(asking)

    async def _describe(self) -> HubProperties:
        with mapped_errors(self.name, self.group):
            properties = await self.client.get_eventhub_properties()
        created_at: datetime = properties["created_at"]
        return HubProperties(
            created_at.replace(tzinfo=created_at.tzinfo or UTC), len(properties["partition_ids"])
        )

    async def count_partitions(self) -> int:
        """Return the hub's number of partitions.

        Raises SourceUnavailable if there is no answer within 5 s.
        """
        try:
            with mapped_errors(self.name, self.group):
                return len(await within(_ANSWER_TIMEOUT_S, self.client.get_partition_ids()))
        except TimeoutError as error:
            raise SourceUnavailable(f"hub {self.name} does not answer") from error

    async def bounds(self, partition: int) -> PartitionBounds:
        """Return the sequence numbers of a partition's oldest and last events."""
        with mapped_errors(self.name, self.group):
            known = await self.client.get_partition_properties(str(partition))
        last = int(known["last_enqueued_sequence_number"])
        oldest = last + 1 if known["is_empty"] else int(known["beginning_sequence_number"])
        return PartitionBounds(max(0, oldest), last)

    def count_links_opened(self, partition: int) -> int:
        """Return how often the SDK has begun to open the partition's link."""
        return self.client.links_opened[str(partition)]

    def describe_refused_link(self, partition: int) -> Refused:
        """Return the error for a hub that answers, but closes a partition's link whenever it is opened."""
        return Refused(
            f"hub {self.name} closes every link to partition {partition}: it has no consumer group "
            f"{self.group} (create it), or we may not listen"
        )


class HubIdentityCheck:
    """A check that a partition's links lead to the hub on which the partition was opened.

    The SDK reopens a link silently, and the new link may lead to another hub of the same name. The hub cannot
    change while a link is open, so one request after its opening is enough.
    """

    def __init__(self, hub: Hub, partition: int, created_at: datetime, remedy: str) -> None:
        self._hub = hub
        self._partition = partition
        self._created_at = created_at
        self._remedy = remedy
        self._verified_link = self._early_link = -1
        self._early: asyncio.Task[HubProperties] | None = None

    def request_early(self) -> None:
        """Ask the hub now, right after a link was opened, so that its first events need not wait."""
        self.close()
        self._early_link = self._hub.count_links_opened(self._partition)
        self._early = asyncio.create_task(self._hub.describe())
        self._early.add_done_callback(_retrieve)

    async def verify_link(self) -> None:
        """Verify the hub, once for each link.

        Raises HubRecreated if events received so far may be from another hub.
        """
        link = self._hub.count_links_opened(self._partition)
        if link != self._verified_link:
            self.verify(await self._receive_early(link) or await self._hub.describe())
            self._verified_link = link

    def close(self) -> None:
        """Cancel the request, if one is in progress."""
        if self._early is not None:
            self._early.cancel()

    async def _receive_early(self, link: int) -> HubProperties | None:
        """Return the answer to this link's early request; None if there was none or it failed."""
        early = self._early
        if early is None or self._early_link != link:
            return None
        await asyncio.wait([early])
        return None if early.cancelled() or early.exception() is not None else early.result()

    def verify(self, found: HubProperties) -> None:
        """Compare `found` with the expected hub. Raises HubRecreated if `found` describes another hub."""
        if found.created_at != self._created_at:
            raise HubRecreated(
                f"the hub {self._hub.name} was re-created at {found.identity} while events of the one of "
                f"{self._created_at.isoformat()} were being read: {self._remedy}"
            )


def _retrieve(asked: asyncio.Task[HubProperties]) -> None:
    """Mark the task's exception as retrieved, because the caller may have been cancelled meanwhile."""
    if not asked.cancelled():
        asked.exception()
