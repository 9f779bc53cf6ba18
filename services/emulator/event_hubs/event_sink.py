"""Where a producer's link ends: its deliveries become events of a partition, and are answered after that."""

from functools import partial

from services.emulator.event_hubs import conditions
from services.emulator.event_hubs.conditions import Refusal
from services.emulator.event_hubs.decoding import DecodeError
from services.emulator.event_hubs.hubs import Hub
from services.emulator.event_hubs.links import Delivery, IncomingLink
from services.emulator.event_hubs.messages import EventCutter
from shared import failpoints
from shared.hubs.partition_key import partition_of
from shared.log_events import EventLog

log = EventLog(__name__)

MAX_PARTITION_KEY_LENGTH = 128


class EventSink:
    """`partition` is None for a link to the whole hub."""

    group: str | None = None

    def __init__(self, link: IncomingLink, hub: Hub, partition: int | None) -> None:
        self._link = link
        self._hub = hub
        self._cutter = EventCutter()
        self._namespace = link.session.connection.namespace
        self.hub_name = hub.name
        self.partition = partition
        self._namespace.faults.links.add(self)

    def deliver(self, delivery: Delivery) -> None:
        try:
            events, key = self._cutter.cut(delivery.message_format, delivery.payload)
            partition = self._partition(key)
        except DecodeError as exc:
            self._link.settle(delivery, Refusal(conditions.DECODE_ERROR, str(exc)))
            return
        except Refusal as refusal:
            self._link.settle(delivery, refusal)
            return
        try:
            self._hub.logs[partition].append(events, self._namespace.now_ms())
        except OSError as exc:
            log.exception("append_failed", hub=self.hub_name, partition=partition)
            self._link.settle(
                delivery, Refusal(conditions.RESOURCE_LIMIT, f"The log cannot grow: {exc.strerror}")
            )
            return
        # A crash before this line: the events are there or not, and the sender, unanswered, has to look.
        self._namespace.commits.when_kept(self._hub.logs[partition], partial(self._kept, delivery, partition))

    def _partition(self, key: str | None) -> int:
        if key is not None and len(key) > MAX_PARTITION_KEY_LENGTH:
            raise Refusal(
                conditions.ARGUMENT_ERROR,
                f"A partition key has at most {MAX_PARTITION_KEY_LENGTH} characters.",
            )
        if self.partition is not None:
            return self.partition
        return self._hub.next_partition() if key is None else partition_of(key, len(self._hub.logs))

    def _kept(self, delivery: Delivery, partition: int, failure: OSError | None) -> None:
        if failure is not None:
            self._link.settle(
                delivery, Refusal(conditions.INTERNAL_ERROR, f"The log failed: {failure.strerror}")
            )
            return
        failpoints.reach("hub_appended")
        if self._namespace.faults.loses_answer(self.hub_name, partition):
            self._link.session.connection.abort()
            return
        self._link.settle(delivery)

    def detach(self, refusal: Refusal) -> None:
        self._link.detach(refusal)

    def close_connection(self, refusal: Refusal) -> None:
        self._link.session.connection.close(refusal)

    def closed(self) -> None:
        self._namespace.faults.links.discard(self)
