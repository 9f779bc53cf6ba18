"""What is asked of a hub beside its events: its identity, and where its partitions begin and end."""

from dataclasses import dataclass

from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.exceptions import AuthenticationError

from shared.errors import SettingsError
from shared.hubs.clients import hub_created_at

# The management link and the others name the same condition differently.
NOT_FOUND = ("amqp:not-found", "ErrorCondition.NotFound")


@dataclass(frozen=True, slots=True)
class Reach:
    """The oldest event a partition still has (the next one, where it has none) and its last (-1: none)."""

    oldest: int
    last: int


class Hub:
    """One hub through the unmodified client; failures are its EventHubErrors."""

    def __init__(self, client: EventHubConsumerClient) -> None:
        self.client = client
        self.name: str = client.eventhub_name

    async def created_at(self) -> str:
        """The hub's identity, RFC 3339."""
        return (await hub_created_at(self.client)).isoformat().replace("+00:00", "Z")

    async def reach(self, partition: int) -> Reach:
        """Where a partition begins and ends."""
        known = await self.client.get_partition_properties(str(partition))
        last = int(known["last_enqueued_sequence_number"])
        return Reach(last + 1 if known["is_empty"] else int(known["beginning_sequence_number"]), last)

    def refusal(self, error: Exception) -> SettingsError | None:
        """The setting to change, where an error is none that passes by itself."""
        if isinstance(error, AuthenticationError):
            return SettingsError(
                f"FLEETPRICE_EVENT_HUBS: hub {self.name} refused our credentials: {_first_line(error)}"
            )
        if any(words in str(error) for words in NOT_FOUND):
            return SettingsError(f"there is no hub {self.name}, or it lacks our consumer group: create it")
        return None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
