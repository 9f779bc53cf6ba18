"""The frame bodies that the server sends.

Every field is always written, trailing nulls too: pyamqp indexes fixed positions and fails on lists that end
early, although the standard allows them.
"""

from collections.abc import Iterable, Sequence

from services.emulator.event_hubs.refusals import Refusal
from shared.amqp import encoder as amqp
from shared.amqp.performatives import UINT_MAX, Attach

_ACCEPTED = amqp.described(0x24, amqp.sequence([]))


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
    request: Attach, source: bytes, target: bytes, max_message_size: int, capabilities: Iterable[str] = ()
) -> bytes:
    """The answer to `request`; null source and target together say that the link is refused."""
    offered = tuple(capabilities)
    fields = [
        amqp.string(request.name),
        amqp.uint(request.handle),
        amqp.boolean(not request.is_receiver),
        # To a receiver everything is sent settled; a sender decides for itself.
        amqp.ubyte(1 if request.is_receiver else 2),
        amqp.ubyte(0),
        source,
        target,
        amqp.NULL,
        amqp.NULL,
        amqp.uint(0) if request.is_receiver else amqp.NULL,
        amqp.ulong(max_message_size),
        amqp.symbols(offered) if offered else amqp.NULL,
        amqp.NULL,
        amqp.NULL,
    ]
    return _performative(0x12, fields)


def flow(
    *, next_incoming_id: int, incoming_window: int, next_outgoing_id: int, link: Sequence[int] | None = None
) -> bytes:
    """`link` is (handle, delivery count, credit); without it the flow is the session's own."""
    fields = [
        amqp.uint(next_incoming_id),
        amqp.uint(incoming_window),
        amqp.uint(next_outgoing_id),
        amqp.uint(UINT_MAX),
    ]
    fields += _nulls(3) if link is None else [amqp.uint(number) for number in link]
    return _performative(0x13, fields + _nulls(4))


def transfer(handle: int, delivery_id: int, delivery_tag: bytes, *, more: bool) -> bytes:
    """Always settled: the service never waits for a receiver's disposition."""
    fields = [
        amqp.uint(handle),
        amqp.uint(delivery_id),
        amqp.binary(delivery_tag),
        amqp.uint(0),
        amqp.boolean(True),
        amqp.boolean(more),
    ]
    return _performative(0x14, fields + _nulls(5))


def disposition(delivery_id: int, refusal: Refusal | None = None) -> bytes:
    """Accepted, or rejected with the refusal."""
    state = _ACCEPTED if refusal is None else _performative(0x25, [error(refusal)])
    fields = [amqp.boolean(True), amqp.uint(delivery_id), amqp.uint(delivery_id), amqp.boolean(True), state]
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
