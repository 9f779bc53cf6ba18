"""The frame bodies that a client sends, checked field by field before anybody acts on them."""

from typing import Annotated, Any

import msgspec

from shared.amqp.decoder import DecodeError, Described, decode, skip

UINT_MAX = 0xFFFFFFFF
MAX_PERFORMATIVE_BYTES = 16 * 1024
Uint = Annotated[int, msgspec.Meta(ge=0, le=UINT_MAX)]

_LIST_HEADERS = {0x45: 1, 0xC0: 3, 0xD0: 9}


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


class End(msgspec.Struct, frozen=True, array_like=True):
    error: Any = None


class Close(msgspec.Struct, frozen=True, array_like=True):
    error: Any = None


class SaslInit(msgspec.Struct, frozen=True, array_like=True):
    mechanism: str
    initial_response: bytes | None = None


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
    """The performative at the start of a frame's body and where its payload begins. Raises DecodeError."""
    if len(body) > MAX_PERFORMATIVE_BYTES and skip(body, 0) > MAX_PERFORMATIVE_BYTES:
        # Known before it is looked at: a megabyte of nested lists would keep everybody waiting.
        raise DecodeError(f"a performative has more than {MAX_PERFORMATIVE_BYTES} bytes")
    value, end = decode(body)
    if not isinstance(value, Described) or not isinstance(value.value, list):
        raise DecodeError("a frame's body is not a performative")
    kind = _TYPES.get(value.descriptor) if isinstance(value.descriptor, int) else None
    if kind is None:
        raise DecodeError(f"no performative has the code {value.descriptor!r}")
    try:
        # Bytes are bytes: a text is not taken for their base64.
        return msgspec.convert(value.value, kind, builtin_types=(bytes,)), end
    except msgspec.ValidationError as exc:
        raise DecodeError(f"{kind.__name__.lower()}: {exc}") from exc


def raw_fields(body: bytes) -> list[bytes]:
    """The encoded fields of the performative at the start of `body`, which was decoded before."""
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
