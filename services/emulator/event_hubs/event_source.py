"""The node of a consumer's link: it sends events straight from the log, as far as the client grants credit.

There is no task and no polling. A source is scheduled when credit, window, socket or log allow it to send; it
sends one chunk, and lets the other callbacks of the event loop run before the next.
"""

import asyncio
import time

from services.emulator.event_hubs.faults import Place
from services.emulator.event_hubs.hubs import Hub
from services.emulator.event_hubs.namespace import Namespace
from services.emulator.event_hubs.sas import LISTEN
from services.emulator.event_hubs.start_positions import find_offset, parse_start_position
from services.emulator.event_hubs.transfers import TransferRenderer
from shared.amqp import encoder as amqp
from shared.amqp.link import OutgoingLink
from shared.amqp.performatives import Attach
from shared.amqp.refusal import Refusal
from shared.amqp.sections import DELIVERY_ANNOTATIONS
from shared.service.log_events import EventLog

log = EventLog(__name__)

EPOCH = "com.microsoft:epoch"
RUNTIME_METRIC = "com.microsoft:enable-receiver-runtime-metric"
CHUNK_BYTES = 256 * 1024
_SMALL_CREDIT = 16
_SMALL_CHUNK_BYTES = 16 * 1024
# A throttled reader tries again after at most this long: the namespace may have been given more units.
_MAX_THROTTLED_PAUSE_S = 0.25


class EventSource:
    """The consumer's end of one link."""

    keeps_connection_open = True
    claim = LISTEN

    def __init__(
        self,
        link: OutgoingLink,
        attach: Attach,
        namespace: Namespace,
        hub: Hub,
        group: str,
        partition: int,
        path: str,
    ) -> None:
        """Raises Refusal if the position is invalid, the epoch is too low, or there are too many readers."""
        properties = attach.properties if isinstance(attach.properties, dict) else {}
        epoch = properties.get(EPOCH)
        capabilities = attach.desired_capabilities
        readers = hub.readers(group, partition)
        self.name = attach.name
        self.epoch: int | None = epoch if isinstance(epoch, int) else None
        self.hub_name = hub.name
        self.place = Place(hub.name, partition, group)
        self.path = path
        self._link = link
        self._log = hub.logs[partition]
        self._offset = find_offset(parse_start_position(attach.source), self._log)
        self._has_metrics = capabilities == RUNTIME_METRIC or (
            isinstance(capabilities, list) and RUNTIME_METRIC in capabilities
        )
        self._is_scheduled = False
        self._was_delayed = False
        self._loop = asyncio.get_running_loop()
        self._peer = link.peer
        self._renderer = TransferRenderer(link.channel.number, link.handle, link.peer.max_frame_bytes)
        self._readers = readers
        self._readers.admit(self)
        self._faults = namespace.faults
        self._throughput = namespace.throughput
        self._faults.links.add(self)

    def resume(self) -> None:
        """Schedule one chunk for the next turn of the loop, unless one is already scheduled."""
        if not self._is_scheduled and self._link.is_open:
            self._is_scheduled = True
            self._loop.call_soon(self._send_chunk)

    def _send_chunk(self) -> None:
        self._is_scheduled = False
        link, channel = self._link, self._link.channel
        if not link.is_open or not self._peer.is_writable or link.credit <= 0 or channel.window <= 0:
            # Each of these calls `resume` when it changes.
            return
        max_bytes = _SMALL_CHUNK_BYTES if link.credit <= _SMALL_CREDIT else CHUNK_BYTES
        credit, egress = link.credit, self._throughput.egress
        if egress is not None:
            max_bytes, credit = min(max_bytes, egress.portion_bytes), min(credit, egress.portion_events)
        chunk = self._log.read(self._offset, max_bytes)
        if chunk is None:
            if link.is_draining:
                link.drain()
            self._log.wait(self.resume)
            return
        if (self._faults.is_armed or egress is not None) and self._is_paused():
            return
        metrics = self._metrics() if self._has_metrics else b""
        rendered = self._renderer.render(chunk, channel.next_delivery_id, credit, channel.window, metrics)
        if egress is not None:
            self._throughput.count_egress(rendered.next_offset - chunk.offset, rendered.events)
        self._was_delayed = False
        self._offset = self._skip_damage(chunk.offset) if rendered.is_damaged else rendered.next_offset
        self._peer.write(rendered.parts)
        link.count_sent(rendered.events, rendered.frames)
        self.resume()

    def _skip_damage(self, offset: int) -> int:
        """Return the offset behind the damaged record at `offset`; the first reader that meets it logs it."""
        damage = self._log.find_damage(offset)
        if damage.is_news:
            log.warning(
                "events_damaged",
                hub=self.hub_name,
                partition=self.place.partition,
                first_sequence_number=damage.first_sequence_number,
                next_sequence_number=damage.next_sequence_number,
                directory=str(self._log.directory),
            )
        return damage.next_offset

    def _is_paused(self) -> bool:
        """Return whether sending must wait because of a fault or the throughput limit.

        If so, the next attempt is scheduled.
        """
        fault = None if self._was_delayed else self._faults.consume("delivery", self.place)
        if fault is not None:
            self._was_delayed = True
            pause_s = fault.delay_s
        else:
            pause_s = min(self._throughput.egress_wait_s(), _MAX_THROTTLED_PAUSE_S)
        if pause_s > 0:
            # Until then nothing else may schedule it.
            self._is_scheduled = True
            self._loop.call_later(pause_s, self._send_chunk)
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
        return amqp.described(DELIVERY_ANNOTATIONS, amqp.mapping(named))

    def detach(self, refusal: Refusal) -> None:
        self._link.detach(refusal)

    def close_connection(self, refusal: Refusal) -> None:
        self._peer.close(refusal)

    def close(self) -> None:
        self._log.stop_waiting(self.resume)
        self._readers.leave(self)
        self._faults.links.discard(self)
