"""The node of a producer's link: it appends deliveries to a partition, then settles them."""

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from functools import partial

from services.emulator.event_hubs import refusals
from services.emulator.event_hubs.event_cutter import EventCutter
from services.emulator.event_hubs.faults import Fault, Place
from services.emulator.event_hubs.hubs import Hub
from services.emulator.event_hubs.namespace import Namespace
from services.emulator.event_hubs.sas import SEND
from services.emulator.log.annotations import Event
from shared.amqp.decoder import DecodeError
from shared.amqp.link import Delivery, IncomingLink
from shared.amqp.refusal import DECODE_ERROR, INTERNAL_ERROR, RESOURCE_LIMIT, Refusal
from shared.service import failpoints
from shared.streams.partition_key import find_partition

MAX_PARTITION_KEY_LENGTH = 128


class EventSink:
    """The producer's end of one link; `partition` is None if the link addresses the whole hub."""

    keeps_connection_open = True
    claim = SEND
    epoch: int | None = None

    def __init__(
        self, link: IncomingLink, namespace: Namespace, hub: Hub, partition: int | None, path: str
    ) -> None:
        self.path = path
        self._link = link
        self._hub = hub
        self._cutter = EventCutter()
        self._namespace = namespace
        self._faults = namespace.faults
        self._queue: list[Delivery] | None = None
        self.name = link.name
        self.hub_name = hub.name
        self.partition = partition
        self.place = Place(hub.name, partition)
        self._faults.links.add(self)

    def deliver(self, delivery: Delivery) -> None:
        if self._queue is not None:
            # An earlier delivery is being delayed, and a link keeps its order.
            self._link.peer.quota.hold(len(delivery.payload))
            self._queue.append(delivery)
            return
        try:
            events, key = self._cutter.cut(delivery.message_format, delivery.payload)
            partition = self._choose_partition(key)
        except DecodeError as exc:
            self._link.settle(delivery, Refusal(DECODE_ERROR, str(exc)))
            return
        except Refusal as refusal:
            self._link.settle(delivery, refusal)
            return
        if self._faults.is_armed and (fault := self._faults.consume("send", self._place_of(partition))):
            self._inject_send_fault(fault, delivery, partition, events)
        else:
            self._append(delivery, partition, events)

    def _append(self, delivery: Delivery, partition: int, events: Sequence[Event]) -> None:
        throughput = self._namespace.throughput
        if throughput.ingress is not None and not throughput.try_admit(len(delivery.payload), len(events)):
            self._link.settle(delivery, refusals.throttled())
            return
        try:
            self._hub.logs[partition].append(events, self._namespace.now_ms())
        except OSError as exc:
            # The log has logged this, once for all appends that it refuses.
            self._link.settle(delivery, _cannot_grow(exc))
            return
        # A crash before this line: the events are there or not, and the sender, unanswered, has to look.
        self._namespace.commits.call_when_committed(
            self._hub.logs[partition], partial(self._confirm, delivery, partition)
        )

    def _choose_partition(self, key: str | None) -> int:
        if key is not None and len(key) > MAX_PARTITION_KEY_LENGTH:
            raise Refusal(
                refusals.ARGUMENT_ERROR,
                f"A partition key has at most {MAX_PARTITION_KEY_LENGTH} characters.",
            )
        if self.partition is not None:
            return self.partition
        return self._hub.next_partition() if key is None else find_partition(key, len(self._hub.logs))

    def _place_of(self, partition: int) -> Place:
        return Place(self.hub_name, partition)

    def _confirm(self, delivery: Delivery, partition: int, failure: OSError | None) -> None:
        if failure is not None:
            self._link.settle(delivery, Refusal(INTERNAL_ERROR, f"The log failed: {failure.strerror}"))
            return
        failpoints.reach("hub_appended")
        if self._faults.is_armed and (fault := self._faults.consume("answer", self._place_of(partition))):
            self._inject_answer_fault(fault, delivery)
        else:
            self._link.settle(delivery)

    def _inject_send_fault(
        self, fault: Fault, delivery: Delivery, partition: int, events: Sequence[Event]
    ) -> None:
        """Apply a fault before the append. Of all faults, only a delay appends the delivery later."""
        if fault.kind == "reject":
            self._link.settle(delivery, fault.refusal())
        elif fault.kind == "fill_up":
            self._link.settle(delivery, _cannot_grow(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
        elif fault.kind == "delay":
            self._queue = []
            self._call_later(fault.delay_s, partial(self._append_delayed, delivery, partition, events))
        else:
            self._hang_up(fault)

    def _append_delayed(self, delivery: Delivery, partition: int, events: Sequence[Event]) -> None:
        queued, self._queue = self._queue or [], None
        self._append(delivery, partition, events)
        for one in queued:
            self._link.peer.quota.release(len(one.payload))
            # It may be delayed too, and the rest is queued again; or it ends the link, and the rest is lost.
            if self._link.is_open:
                self.deliver(one)

    def _inject_answer_fault(self, fault: Fault, delivery: Delivery) -> None:
        """Apply a fault after the append: the events are in the log, whatever the sender receives."""
        if fault.kind == "lose_answer":
            self._link.peer.abort()
        elif fault.kind == "delay":
            self._call_later(fault.delay_s, partial(self._link.settle, delivery))
        else:
            self._hang_up(fault)

    def _hang_up(self, fault: Fault) -> None:
        (self.close_connection if fault.kind == "close" else self.detach)(fault.refusal())

    def _call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(delay_s, lambda: call() if self._link.is_open else None)

    def detach(self, refusal: Refusal) -> None:
        self._link.detach(refusal)

    def close_connection(self, refusal: Refusal) -> None:
        self._link.peer.close(refusal)

    def close(self) -> None:
        self._link.peer.quota.release(sum(len(one.payload) for one in self._queue or ()))
        self._queue = None
        self._faults.links.discard(self)


def _cannot_grow(failure: OSError) -> Refusal:
    return Refusal(RESOURCE_LIMIT, f"The log cannot grow: {failure.strerror}")
