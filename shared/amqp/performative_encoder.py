"""Encoding of performatives as frame bodies, for sender and receiver. Pure: no I/O.

Every field is always written, even trailing nulls. The standard allows lists that end early, but pyamqp
(azure-eventhub 5.15.1) reads fields by their position and fails on them.
"""

from collections.abc import Iterable, Iterator, Sequence

from shared.amqp import encoder as amqp
from shared.amqp.frames import frame
from shared.amqp.performatives import UINT_MAX, Outcome
from shared.amqp.refusal import Refusal

# Room for a frame's header and its TRANSFER.
TRANSFER_OVERHEAD_BYTES = 64
# One tag for all settled deliveries: pyamqp (5.15.1) keeps every distinct tag for ever.
SETTLED_TAG = b"\x00"
SENDS_UNSETTLED, SENDS_SETTLED, SENDS_MIXED = range(3)


def _performative(code: int, fields: Sequence[bytes]) -> bytes:
    return amqp.described(code, amqp.sequence(fields))


def _nulls(count: int) -> list[bytes]:
    return [amqp.NULL] * count


def error(refusal: Refusal | None) -> bytes:
    if refusal is None:
        return amqp.NULL
    fields = [amqp.symbol(refusal.condition), amqp.string(refusal.description), amqp.NULL]
    return _performative(0x1D, fields)


def open_(container_id: str, max_frame_size: int, channel_max: int, idle_timeout_ms: int) -> bytes:
    fields = [
        amqp.string(container_id),
        amqp.NULL,
        amqp.uint(max_frame_size),
        amqp.ushort(channel_max),
        amqp.uint(idle_timeout_ms),
    ]
    return _performative(0x10, fields + _nulls(5))


def begin(remote_channel: int, incoming_window: int, handle_max: int) -> bytes:
    fields = [
        amqp.ushort(remote_channel),
        amqp.uint(1),
        amqp.uint(incoming_window),
        amqp.uint(UINT_MAX),
        amqp.uint(handle_max),
    ]
    return _performative(0x11, fields + _nulls(3))


def attach(
    name: str,
    handle: int,
    *,
    is_receiver: bool,
    sender_settle_mode: int,
    source: bytes,
    target: bytes,
    max_message_size: int,
    offered_capabilities: Sequence[str] = (),
    properties: bytes = amqp.NULL,
) -> bytes:
    """Encode the ATTACH of this side. If source and target are both null, it refuses the link."""
    fields = [
        amqp.string(name),
        amqp.uint(handle),
        amqp.boolean(is_receiver),
        amqp.ubyte(sender_settle_mode),
        amqp.ubyte(0),
        source,
        target,
        amqp.NULL,
        amqp.NULL,
        amqp.NULL if is_receiver else amqp.uint(0),
        amqp.ulong(max_message_size),
        amqp.symbols(offered_capabilities) if offered_capabilities else amqp.NULL,
        amqp.NULL,
        properties,
    ]
    return _performative(0x12, fields)


def flow(
    *, next_incoming_id: int, incoming_window: int, next_outgoing_id: int, link: Sequence[int] | None = None
) -> bytes:
    """Encode a FLOW for a link, given as (handle, delivery count, credit), or for the session alone."""
    fields = [
        amqp.uint(next_incoming_id),
        amqp.uint(incoming_window),
        amqp.uint(next_outgoing_id),
        amqp.uint(UINT_MAX),
    ]
    fields += _nulls(3) if link is None else [amqp.uint(number) for number in link]
    return _performative(0x13, fields + _nulls(4))


def transfer(handle: int, delivery_id: int, delivery_tag: bytes, *, is_settled: bool, more: bool) -> bytes:
    fields = [
        amqp.uint(handle),
        amqp.uint(delivery_id),
        amqp.binary(delivery_tag),
        amqp.uint(0),
        amqp.boolean(is_settled),
        amqp.boolean(more),
    ]
    return _performative(0x14, fields + _nulls(5))


def transfer_frames(
    channel: int,
    handle: int,
    delivery_id: int,
    message: bytes,
    max_frame_bytes: int,
    *,
    is_settled: bool = True,
) -> Iterator[bytes]:
    """Yield the frames that carry one message, as many as it needs."""
    tag = SETTLED_TAG if is_settled else delivery_id.to_bytes(4, "big")
    max_payload_bytes = max_frame_bytes - TRANSFER_OVERHEAD_BYTES
    for start in range(0, len(message), max_payload_bytes):
        end = start + max_payload_bytes
        body = transfer(handle, delivery_id, tag, is_settled=is_settled, more=end < len(message))
        yield frame(channel, body + message[start:end])


_NO_FIELDS = amqp.sequence([])
_ACCEPTED = amqp.described(Outcome.ACCEPTED, _NO_FIELDS)


def receiver_disposition(delivery_id: int, refusal: Refusal | None = None) -> bytes:
    """Encode the settlement of a received delivery: accepted, or rejected if a refusal is given."""
    state = _ACCEPTED if refusal is None else _performative(Outcome.REJECTED, [error(refusal)])
    number = amqp.uint(delivery_id)
    return _performative(0x15, [amqp.boolean(True), number, number, amqp.boolean(True), state, amqp.NULL])


def sender_disposition(first: int, last: int, outcome: Outcome) -> bytes:
    """Encode the settlement of sent deliveries with the outcome that their receiver reported."""
    state = amqp.described(outcome, _NO_FIELDS)
    fields = [amqp.boolean(False), amqp.uint(first), amqp.uint(last), amqp.boolean(True), state]
    return _performative(0x15, [*fields, amqp.NULL])


def detach(handle: int, refusal: Refusal | None = None) -> bytes:
    return _performative(0x16, [amqp.uint(handle), amqp.boolean(True), error(refusal)])


def end(refusal: Refusal | None = None) -> bytes:
    return _performative(0x17, [error(refusal)])


def close(refusal: Refusal | None = None) -> bytes:
    return _performative(0x18, [error(refusal)])


def sasl_mechanisms(names: Iterable[str]) -> bytes:
    return _performative(0x40, [amqp.symbols(names)])


def sasl_outcome(code: int) -> bytes:
    return _performative(0x44, [amqp.ubyte(code), amqp.NULL])


def empty_source() -> bytes:
    return _performative(0x28, _nulls(11))


def empty_target() -> bytes:
    return _performative(0x29, _nulls(7))
