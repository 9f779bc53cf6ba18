"""Where a producer's link ends: its deliveries become events of a partition, and are answered after that."""

import errno
import os
from collections.abc import Callable, Sequence
from functools import partial

from services.emulator.event_hubs import refusals
from services.emulator.event_hubs.event_cutter import EventCutter
from services.emulator.event_hubs.faults import Fault, Place
from services.emulator.event_hubs.hubs import Hub
from services.emulator.event_hubs.refusals import Refusal
from services.emulator.log.annotations import Event
from shared.amqp.decoder import DecodeError
from shared.amqp.link import Delivery, IncomingLink
from shared.service import failpoints
from shared.streams.partition_key import partition_of

MAX_PARTITION_KEY_LENGTH = 128


class EventSink:
    """`partition` is None for a link to the whole hub."""

    epoch: int | None = None

    def __init__(self, link: IncomingLink, hub: Hub, partition: int | None) -> None:
        self._link = link
        self._hub = hub
        self._cutter = EventCutter()
        self._namespace = link.session.connection.namespace
        self._faults = self._namespace.faults
        self._queue: list[Delivery] | None = None
        self.name = link.name
        self.hub_name = hub.name
        self.partition = partition
        self.place = Place(hub.name, partition)
        self._faults.links.add(self)

    def deliver(self, delivery: Delivery) -> None:
        if self._queue is not None:
            # One before it is being delayed, and a link keeps its order.
            self._link.session.connection.allowance.hold(len(delivery.payload))
            self._queue.append(delivery)
            return
        try:
            events, key = self._cutter.cut(delivery.message_format, delivery.payload)
            partition = self._partition(key)
        except DecodeError as exc:
            self._link.settle(delivery, Refusal(refusals.DECODE_ERROR, str(exc)))
            return
        except Refusal as refusal:
            self._link.settle(delivery, refusal)
            return
        if self._faults.is_armed and (fault := self._faults.take("send", self._place_of(partition))):
            self._strike_send(fault, delivery, partition, events)
        else:
            self._append(delivery, partition, events)

    def _append(self, delivery: Delivery, partition: int, events: Sequence[Event]) -> None:
        throughput = self._namespace.throughput
        if throughput.ingress is not None and not throughput.admits(len(delivery.payload), len(events)):
            self._link.settle(delivery, refusals.throttled())
            return
        try:
            self._hub.logs[partition].append(events, self._namespace.now_ms())
        except OSError as exc:
            # The log has said so, once for all that it refuses.
            self._link.settle(delivery, _cannot_grow(exc))
            return
        # A crash before this line: the events are there or not, and the sender, unanswered, has to look.
        self._namespace.commits.when_kept(self._hub.logs[partition], partial(self._kept, delivery, partition))

    def _partition(self, key: str | None) -> int:
        if key is not None and len(key) > MAX_PARTITION_KEY_LENGTH:
            raise Refusal(
                refusals.ARGUMENT_ERROR,
                f"A partition key has at most {MAX_PARTITION_KEY_LENGTH} characters.",
            )
        if self.partition is not None:
            return self.partition
        return self._hub.next_partition() if key is None else partition_of(key, len(self._hub.logs))

    def _place_of(self, partition: int) -> Place:
        return Place(self.hub_name, partition)

    def _kept(self, delivery: Delivery, partition: int, failure: OSError | None) -> None:
        if failure is not None:
            self._link.settle(
                delivery, Refusal(refusals.INTERNAL_ERROR, f"The log failed: {failure.strerror}")
            )
            return
        failpoints.reach("hub_appended")
        if self._faults.is_armed and (fault := self._faults.take("answer", self._place_of(partition))):
            self._strike_answer(fault, delivery)
        else:
            self._link.settle(delivery)

    def _strike_send(self, fault: Fault, delivery: Delivery, partition: int, events: Sequence[Event]) -> None:
        """Nothing of the delivery is in the log yet, nor will be, unless it is only late."""
        if fault.kind == "reject":
            self._link.settle(delivery, fault.refusal())
        elif fault.kind == "fill_up":
            self._link.settle(delivery, _cannot_grow(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
        elif fault.kind == "delay":
            self._queue = []
            self._later(fault.delay_s, partial(self._go_on, delivery, partition, events))
        else:
            self._hang_up(fault)

    def _go_on(self, delivery: Delivery, partition: int, events: Sequence[Event]) -> None:
        queued, self._queue = self._queue or [], None
        self._append(delivery, partition, events)
        for one in queued:
            self._link.session.connection.allowance.let_go(len(one.payload))
            # It may be delayed too, and those after it then queue again; or end the link, and they are lost.
            if self._link.is_open:
                self.deliver(one)

    def _strike_answer(self, fault: Fault, delivery: Delivery) -> None:
        """The events are in the log, whatever their sender is told."""
        if fault.kind == "lose_answer":
            self._link.session.connection.abort()
        elif fault.kind == "delay":
            self._later(fault.delay_s, partial(self._link.settle, delivery))
        else:
            self._hang_up(fault)

    def _hang_up(self, fault: Fault) -> None:
        (self.close_connection if fault.kind == "close" else self.detach)(fault.refusal())

    def _later(self, delay_s: float, do: Callable[[], None]) -> None:
        self._link.session.connection.loop.call_later(delay_s, lambda: do() if self._link.is_open else None)

    def detach(self, refusal: Refusal) -> None:
        self._link.detach(refusal)

    def close_connection(self, refusal: Refusal) -> None:
        self._link.session.connection.close(refusal)

    def closed(self) -> None:
        self._link.session.connection.allowance.let_go(sum(len(one.payload) for one in self._queue or ()))
        self._queue = None
        self._faults.links.discard(self)


def _cannot_grow(failure: OSError) -> Refusal:
    return Refusal(refusals.RESOURCE_LIMIT, f"The log cannot grow: {failure.strerror}")
