"""Where a consumer's link begins: events straight from the log, as many as the client has granted credit for.

No task and no polling: a source runs when credit, window, socket or log let it go on, sends one chunk, and
gives way to the others before the next.
"""

import time

from services.emulator.event_hubs.faults import Place
from services.emulator.event_hubs.hubs import Hub
from services.emulator.event_hubs.refusals import Refusal
from services.emulator.event_hubs.start_positions import resolved, start_position
from services.emulator.event_hubs.transfers import TransferRenderer
from shared.amqp import encoder as amqp
from shared.amqp.link import OutgoingLink
from shared.amqp.performatives import Attach

EPOCH = "com.microsoft:epoch"
RUNTIME_METRIC = "com.microsoft:enable-receiver-runtime-metric"
CHUNK_BYTES = 256 * 1024
_SMALL_CREDIT = 16
_SMALL_CHUNK_BYTES = 16 * 1024
_DELIVERY_ANNOTATIONS_CODE = 0x71
# A reader that is held back looks again after that: the namespace may have been given more meanwhile.
_MAX_THROTTLED_PAUSE_S = 0.25


class EventSource:
    def __init__(self, link: OutgoingLink, attach: Attach, hub: Hub, group: str, partition: int) -> None:
        """Raises Refusal: a position that is none, an epoch too low, too many readers."""
        properties = attach.properties if isinstance(attach.properties, dict) else {}
        epoch = properties.get(EPOCH)
        capabilities = attach.desired_capabilities
        self.name = attach.name
        self.epoch: int | None = epoch if isinstance(epoch, int) else None
        self.hub_name = hub.name
        self.place = Place(hub.name, partition, group)
        self._link = link
        self._log = hub.logs[partition]
        self._offset = resolved(start_position(attach.source), self._log)
        self._has_metrics = capabilities == RUNTIME_METRIC or (
            isinstance(capabilities, list) and RUNTIME_METRIC in capabilities
        )
        self._is_scheduled = False
        self._was_delayed = False
        connection = link.session.connection
        self._connection = connection
        self._renderer = TransferRenderer(link.session.channel, link.handle, connection.max_frame_bytes)
        self._readers = hub.readers(group, partition)
        self._readers.admit(self)
        self._faults = connection.namespace.faults
        self._throughput = connection.namespace.throughput
        self._faults.links.add(self)

    def credit_changed(self) -> None:
        self.schedule()

    def schedule(self) -> None:
        """Go on in this turn of the loop or the next, once."""
        if not self._is_scheduled and self._link.is_open:
            self._is_scheduled = True
            self._connection.loop.call_soon(self._send_chunk)

    def _send_chunk(self) -> None:
        self._is_scheduled = False
        link, session = self._link, self._link.session
        if not link.is_open or not self._connection.is_writable or link.credit <= 0 or session.window <= 0:
            # Each of these calls `schedule` when it changes.
            return
        max_bytes = _SMALL_CHUNK_BYTES if link.credit <= _SMALL_CREDIT else CHUNK_BYTES
        credit, egress = link.credit, self._throughput.egress
        if egress is not None:
            max_bytes, credit = min(max_bytes, egress.portion_bytes), min(credit, egress.portion_events)
        chunk = self._log.read(self._offset, max_bytes)
        if chunk is None:
            if link.is_draining:
                link.drained()
            self._log.wait(self.schedule)
            return
        if (self._faults.is_armed or egress is not None) and self._is_paused():
            return
        metrics = self._metrics() if self._has_metrics else b""
        rendered = self._renderer.render(chunk, session.next_delivery_id, credit, session.window, metrics)
        if egress is not None:
            self._throughput.given_out(rendered.next_offset - chunk.offset, rendered.events)
        self._was_delayed = False
        self._offset = rendered.next_offset
        self._connection.outbox.write(rendered.parts)
        link.sent(rendered.events, rendered.frames)
        self.schedule()

    def _is_paused(self) -> bool:
        """Whether the events that are there have to wait, for a fault's sake or for the throughput's."""
        fault = None if self._was_delayed else self._faults.take("delivery", self.place)
        if fault is not None:
            self._was_delayed = True
            pause_s = fault.delay_s
        else:
            pause_s = min(self._throughput.egress_wait_s(), _MAX_THROTTLED_PAUSE_S)
        if pause_s > 0:
            # Until then nothing else schedules it.
            self._is_scheduled = True
            self._connection.loop.call_later(pause_s, self._send_chunk)
        return pause_s > 0

    def _metrics(self) -> bytes:
        state = self._log.state()
        now_ms = time.time_ns() // 1_000_000
        entries = {
            "last_enqueued_sequence_number": amqp.long(state.last_sequence_number),
            "last_enqueued_offset": amqp.string(state.last_offset),
            "last_enqueued_time_utc": amqp.timestamp(state.last_enqueued_ms or now_ms),
            "runtime_info_retrieval_time_utc": amqp.timestamp(now_ms),
        }
        named = ((amqp.symbol(name), value) for name, value in entries.items())
        return amqp.described(_DELIVERY_ANNOTATIONS_CODE, amqp.mapping(named))

    def detach(self, refusal: Refusal) -> None:
        self._link.detach(refusal)

    def close_connection(self, refusal: Refusal) -> None:
        self._connection.close(refusal)

    def closed(self) -> None:
        self._log.stop_waiting(self.schedule)
        self._readers.leave(self)
        self._faults.links.discard(self)
