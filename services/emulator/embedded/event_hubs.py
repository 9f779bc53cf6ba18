"""The emulator's hubs for tests, usable from any thread."""

import asyncio
import uuid
from collections.abc import Iterable
from functools import partial
from typing import Any

from services.emulator.embedded.faults import Faults
from services.emulator.embedded.loop_thread import LoopThread
from services.emulator.event_hubs.faults import Fault
from services.emulator.event_hubs.hubs import Hub, HubUnknown
from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.event_hubs.stored_events import StoredEvent, read_stored_events


class EventHub:
    """One hub. Its `connection_string` names the hub (EntityPath), so SDKs need no `eventhub_name`."""

    def __init__(self, hub: Hub, connection_string: str, thread: LoopThread[Any]) -> None:
        self.name = hub.name
        self.partition_ids = [str(number) for number in range(len(hub.logs))]
        self.connection_string = f"{connection_string}EntityPath={hub.name}"
        self._hub = hub
        self._thread = thread

    def events(self, *, at_least: int = 0, timeout_s: float = 10.0) -> list[StoredEvent]:
        """Wait until the hub has `at_least` events, then return all of them, ordered by partition.

        Raises TimeoutError if the hub has fewer events after `timeout_s`.
        """
        self._thread.run(partial(self._wait_for_events, at_least, timeout_s))
        return self._thread.call(self._read_events)

    def _read_events(self) -> list[StoredEvent]:
        return [
            event
            for number, log in enumerate(self._hub.logs)
            for event in read_stored_events(log, str(number))
        ]

    async def _wait_for_events(self, at_least: int, timeout_s: float) -> None:
        appended = asyncio.Event()
        try:
            async with asyncio.timeout(timeout_s):
                while self._count() < at_least:
                    appended.clear()
                    for log in self._hub.logs:
                        log.wait(appended.set)
                    await appended.wait()
        except TimeoutError:
            raise TimeoutError(
                f"hub {self.name} holds {self._count()} events, not {at_least}, after {timeout_s:g} s"
            ) from None
        finally:
            for log in self._hub.logs:
                log.stop_waiting(appended.set)

    def _count(self) -> int:
        states = [log.state() for log in self._hub.logs]
        return sum(state.last_sequence_number + 1 - state.begin_sequence_number for state in states)


class EventHubs:
    """The Event Hubs namespace.

    Hubs `telemetry` and `predictions` exist from the start, with 4 partitions each.
    """

    def __init__(
        self, server: EventHubsServer, thread: LoopThread[Any], tls_connection_string: str | None = None
    ) -> None:
        self.connection_string = server.connection_string
        self.tls_connection_string = tls_connection_string
        self.faults = Faults(server.faults, Fault, thread)
        self._server = server
        self._thread = thread

    def create_hub(
        self,
        name: str | None = None,
        partitions: int = 4,
        *,
        consumer_groups: Iterable[str] | None = None,
        retention_hours: float = 24,
    ) -> EventHub:
        """Create a hub, or return the existing hub of this name. If `name` is omitted, it is generated.

        If `consumer_groups` is omitted, any group is accepted. Raises HubRefused if a value is not allowed or
        the existing hub has other partitions.
        """
        name = name or f"hub-{uuid.uuid4().hex[:12]}"
        make = partial(self._server.create_hub, name, partitions, consumer_groups, retention_hours)
        return self._handle(self._thread.call(make))

    def hub(self, name: str) -> EventHub:
        """Return the hub of that name. Raises HubUnknown if there is none."""
        hub = self._server.namespace.hubs.find(name)
        if hub is None:
            raise HubUnknown(f"there is no hub {name}")
        return self._handle(hub)

    def hubs(self) -> list[EventHub]:
        return [self._handle(hub) for hub in self._thread.call(lambda: [*self._server.namespace.hubs])]

    def delete_hub(self, name: str) -> None:
        """Detach the hub's links and delete the hub and its events.

        Raises HubUnknown if there is no such hub.
        """
        self._thread.call(partial(self._server.delete_hub, name))

    def throttle(self, units: float | None) -> None:
        """Limit the throughput to `units` throughput units. None removes the limit."""
        self._thread.call(partial(self._server.throughput.set_units, units))

    def _handle(self, hub: Hub) -> EventHub:
        return EventHub(hub, self.connection_string, self._thread)
