"""What is asked of a hub beside its events: its identity, and where its partitions begin and end."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from azure.core.exceptions import ClientAuthenticationError, ResourceNotFoundError
from azure.eventhub.exceptions import AuthenticationError, EventHubError

from shared.service.errors import HubRecreated, SettingsError
from shared.streams.event_hubs.clients import LinkCountingConsumerClient

# The management link and the others name the same condition differently.
NOT_FOUND = ("amqp:not-found", "ErrorCondition.NotFound")


@dataclass(frozen=True, slots=True)
class PartitionBounds:
    """The oldest event a partition still has (the next one, where it has none) and its last (-1: none)."""

    oldest: int
    last: int


@dataclass(frozen=True, slots=True)
class HubProperties:
    """A hub's identity (when it was created, RFC 3339) and how many partitions it has by now."""

    created_at: str
    partitions: int


class Hub:
    """One hub through the unmodified client; failures are its EventHubErrors."""

    def __init__(self, client: LinkCountingConsumerClient) -> None:
        self.client = client
        self.name: str = client.eventhub_name
        self._asking: asyncio.Task[HubProperties] | None = None

    async def described(self) -> HubProperties:
        """What the hub is, by a question that was put after this call; callers at one time share it.

        So where it is still the hub it was, whatever was received before the call came from that hub.
        """
        earlier = self._asking
        if earlier is not None:
            await asyncio.wait([earlier])
        asking = self._asking
        if asking is None or asking is earlier:
            asking = self._asking = asyncio.create_task(self._describe())
            asking.add_done_callback(_retrieve)
        return await asyncio.shield(asking)

    def refuse_another(self, found: str, known: str) -> None:
        """Raises HubRecreated where the hub found is not the one that was known."""
        if found != known:
            raise HubRecreated(
                f"the hub {self.name} was re-created at {found} while events of the one of {known} "
                "were landing: start again to see what to change"
            )

    async def _describe(self) -> HubProperties:
        properties = await self.client.get_eventhub_properties()
        created_at = properties["created_at"].isoformat().replace("+00:00", "Z")
        return HubProperties(created_at, len(properties["partition_ids"]))

    def link_refused(self, partition: int) -> SettingsError:
        """Where the hub answers, but closes a partition's link whenever it is opened."""
        return SettingsError(
            f"hub {self.name} closes every link to partition {partition}: it has no consumer group "
            f"{self._group} (create it), or we may not listen"
        )

    @property
    def _group(self) -> str:
        return str(self.client._consumer_group)  # noqa: SLF001 - the client tells it nowhere else

    async def reach(self, partition: int) -> PartitionBounds:
        """Where a partition begins and ends."""
        known = await self.client.get_partition_properties(str(partition))
        last = int(known["last_enqueued_sequence_number"])
        return PartitionBounds(
            last + 1 if known["is_empty"] else int(known["beginning_sequence_number"]), last
        )

    def refusal(self, error: Exception) -> SettingsError | None:
        """The setting to change, where an error is none that passes by itself."""
        if isinstance(error, SettingsError):
            return error
        if isinstance(error, AuthenticationError):
            return SettingsError(
                f"FLEETPRICE_EVENT_HUBS: hub {self.name} refused our credentials: {_first_line(error)}"
            )
        if isinstance(error, ClientAuthenticationError):
            return SettingsError(
                "FLEETPRICE_CHECKPOINTS or FLEETPRICE_STORAGE: the account of the checkpoints refused our "
                f"credentials: {_first_line(error)}"
            )
        if isinstance(error, ResourceNotFoundError):
            return SettingsError(
                "FLEETPRICE_CHECKPOINT_CONTAINER: there is no such container in the account of the "
                f"checkpoints, create it: {_first_line(error)}"
            )
        if any(words in str(error) for words in NOT_FOUND):
            return SettingsError(
                f"there is no hub {self.name}, or it has no consumer group {self._group}: create it"
            )
        return None


class HubIdentityCheck:
    """Whether what a partition's links bring is of the hub that its chain is of.

    Asked once for each link, as soon as it brought something: while it is open the hub cannot be another, and
    what came earlier came from a hub no newer.
    """

    def __init__(self, hub: Hub, created_at: str, partition: int) -> None:
        self._hub = hub
        self._created_at = created_at
        self._partition = str(partition)
        self._link = -1
        self._asking: asyncio.Task[None] | None = None

    def received(self) -> None:
        """Events came: ask, where that is over a link that nobody asked about."""
        link = self._hub.client.links_opened[self._partition]
        if link != self._link:
            self._link = link
            self._ask()

    def verify(self) -> Awaitable[None]:
        """To be awaited before what was received is committed; raises HubRecreated."""
        asking = self._asking
        if asking is None or (asking.done() and isinstance(asking.exception(), EventHubError)):
            asking = self._ask()
        return asyncio.shield(asking)

    def _ask(self) -> asyncio.Task[None]:
        asking = self._asking = asyncio.create_task(self._answer())
        asking.add_done_callback(_retrieve)
        return asking

    async def _answer(self) -> None:
        self._hub.refuse_another((await self._hub.described()).created_at, self._created_at)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def _retrieve(asked: asyncio.Task[HubProperties] | asyncio.Task[None]) -> None:
    """Who asked may have been cancelled meanwhile: then nobody else looks at what was raised."""
    if not asked.cancelled():
        asked.exception()
