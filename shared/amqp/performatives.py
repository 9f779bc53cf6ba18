"""Decoding of performatives from frame bodies; each field is checked before use. Pure: no I/O."""

from enum import IntEnum
from typing import Annotated, Any

import msgspec

from shared.amqp.decoder import DecodeError, Described, decode, skip

UINT_MAX = 0xFFFFFFFF
MAX_PERFORMATIVE_BYTES = 16 * 1024
Uint = Annotated[int, msgspec.Meta(ge=0, le=UINT_MAX)]

_LIST_HEADERS = {0x45: 1, 0xC0: 3, 0xD0: 9}


class Outcome(IntEnum):
    """The terminal states of a delivery, by descriptor code (AMQP 1.0, 3.4)."""

    ACCEPTED = 0x24
    REJECTED = 0x25
    RELEASED = 0x26
    MODIFIED = 0x27


class Open(msgspec.Struct, frozen=True, array_like=True):
    container_id: str
    hostname: str | None = None
    max_frame_size: Uint | None = None
    channel_max: Uint | None = None
    idle_timeout_ms: Uint | None = None


class Begin(msgspec.Struct, frozen=True, array_like=True):
    remote_channel: Uint | None
    next_outgoing_id: Uint
    incoming_window: Uint
    outgoing_window: Uint


class Attach(msgspec.Struct, frozen=True, array_like=True):
    name: str
    handle: Uint
    is_receiver: bool
    sender_settle_mode: int | None = None
    receiver_settle_mode: int | None = None
    source: Any = None
    target: Any = None
    unsettled: Any = None
    incomplete_unsettled: Any = None
    initial_delivery_count: Uint | None = None
    max_message_size: int | None = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: Any = None

    @property
    def source_address(self) -> str:
        return _address(self.source)

    @property
    def target_address(self) -> str:
        return _address(self.target)


class Flow(msgspec.Struct, frozen=True, array_like=True):
    next_incoming_id: Uint | None
    incoming_window: Uint
    next_outgoing_id: Uint
    outgoing_window: Uint
    handle: Uint | None = None
    delivery_count: Uint | None = None
    link_credit: Uint | None = None
    available: Uint | None = None
    drain: bool | None = None
    echo: bool | None = None


class Transfer(msgspec.Struct, frozen=True, array_like=True):
    handle: Uint
    delivery_id: Uint | None = None
    delivery_tag: bytes | None = None
    message_format: Uint | None = None
    settled: bool | None = None
    more: bool | None = None
    receiver_settle_mode: Any = None
    state: Any = None
    resume: bool | None = None
    aborted: bool | None = None


class Detach(msgspec.Struct, frozen=True, array_like=True):
    handle: Uint
    closed: bool | None = None


class Disposition(msgspec.Struct, frozen=True, array_like=True):
    is_receiver: bool
    first: Uint
    last: Uint | None = None
    settled: bool | None = None
    state: Any = None

    @property
    def outcome(self) -> Outcome | None:
        """The terminal state of the deliveries, or None if they have not reached one."""
        if isinstance(self.state, Described) and self.state.descriptor in _OUTCOMES:
            return Outcome(self.state.descriptor)
        return None


class End(msgspec.Struct, frozen=True, array_like=True):
    error: Any = None


class Close(msgspec.Struct, frozen=True, array_like=True):
    error: Any = None


class SaslInit(msgspec.Struct, frozen=True, array_like=True):
    mechanism: str
    initial_response: bytes | None = None


_OUTCOMES = frozenset(Outcome)
_TYPES: dict[int, type[msgspec.Struct]] = {
    0x10: Open,
    0x11: Begin,
    0x12: Attach,
    0x13: Flow,
    0x14: Transfer,
    0x15: Disposition,
    0x16: Detach,
    0x17: End,
    0x18: Close,
    0x41: SaslInit,
}


def decode_performative(body: bytes) -> tuple[msgspec.Struct, int]:
    """Return the performative of a frame's body and the position at which its payload begins.

    Raises DecodeError if the body does not begin with a valid performative, or the performative is too large.
    """
    if len(body) > MAX_PERFORMATIVE_BYTES and skip(body, 0) > MAX_PERFORMATIVE_BYTES:
        # Checked before decoding: a megabyte of nested lists would block the event loop.
        raise DecodeError(f"a performative has more than {MAX_PERFORMATIVE_BYTES} bytes")
    value, end = decode(body)
    if not isinstance(value, Described) or not isinstance(value.value, list):
        raise DecodeError("a frame's body is not a performative")
    kind = _TYPES.get(value.descriptor) if isinstance(value.descriptor, int) else None
    if kind is None:
        raise DecodeError(f"no performative has the code {value.descriptor!r}")
    try:
        # Without `builtin_types`, a string would be accepted as the base64 of bytes.
        return msgspec.convert(value.value, kind, builtin_types=(bytes,)), end
    except msgspec.ValidationError as exc:
        raise DecodeError(f"{kind.__name__.lower()}: {exc}") from exc


def raw_fields(body: bytes) -> list[bytes]:
    """Split the performative at the start of `body` into its encoded fields.

    The performative must have been decoded before, because its encoding is not checked here.
    """
    position = skip(body, 1)
    position, end = position + _LIST_HEADERS[body[position]], skip(body, position)
    fields = []
    while position < end:
        start, position = position, skip(body, position)
        fields.append(body[start:position])
    return fields


def _address(terminus: object) -> str:
    if isinstance(terminus, Described) and isinstance(terminus.value, list) and terminus.value:
        address = terminus.value[0]
        return address if isinstance(address, str) else ""
    return ""
