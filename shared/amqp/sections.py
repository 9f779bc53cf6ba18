"""Message sections, checked and decoded so that every SDK can read a forwarded message. Pure: no I/O.

One malformed map would stop every reader of a queue or log for as long as the message is kept. So a message
is refused if it is not AMQP, is nested too deeply, or has fields that its sections do not define. Valid AMQP
is forwarded unchanged, even what the Python SDK (5.15.1) cannot read: char, decimal32 and decimal64, huge
decimal128 and empty arrays.
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any

import msgspec

from shared.amqp.decoder import DecodeError, Described, decode, skip

# The sections by descriptor, in the order in which they stand (AMQP 1.0, 3.2).
HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS = 0x70, 0x71, 0x72
PROPERTIES, APPLICATION_PROPERTIES = 0x73, 0x74
DATA, SEQUENCE, VALUE, FOOTER = 0x75, 0x76, 0x77, 0x78
# Sections begin with a descriptor in its short form, and a data section goes on with its length.
SECTION_START = b"\x00\x53"
HEADER_START = b"\x00\x53\x70"
DATA_8_START, DATA_32_START = b"\x00\x53\x75\xa0", b"\x00\x53\x75\xb0"
LONG_DATA_PREFIX_BYTES = 8
_BODIES = (DATA, SEQUENCE, VALUE)
_MAY_REPEAT = (DATA, SEQUENCE)
_BINARY = (0xA0, 0xB0)
_SHORT_DATA_PREFIX_BYTES = 5
_LENGTH = Struct(">I")
_LIST_8, _MAP_8 = 0xC0, 0xC1
_FIRST_ITEM = 6  # in a section that is a small list or map: after descriptor, type, size and count
# How many bytes follow the type code of a value whose content cannot be invalid.
_WIDTHS = {0x40: 0, 0x41: 0, 0x42: 0, 0x43: 0, 0x44: 0, 0x50: 1, 0x51: 1, 0x52: 1, 0x53: 1, 0x54: 1, 0x55: 1}
_WIDTHS |= {0x60: 2, 0x61: 2, 0x70: 4, 0x71: 4, 0x72: 4, 0x80: 8, 0x81: 8, 0x82: 8, 0x83: 8, 0x98: 16}
_STRING_8, _SYMBOL_8, _BINARY_8 = 0xA1, 0xA3, 0xA0
_TEXTS = frozenset((_STRING_8, _SYMBOL_8))


class _Header(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    durable: bool | None = None
    priority: int | None = None
    time_to_live_ms: int | None = None
    first_acquirer: bool | None = None
    delivery_count: int | None = None


class _Properties(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    message_id: Any = None
    user_id: bytes | None = None
    to: str | None = None
    subject: str | None = None
    reply_to: str | None = None
    correlation_id: Any = None
    content_type: str | None = None
    content_encoding: str | None = None
    absolute_expiry_time_ms: int | None = None
    creation_time_ms: int | None = None
    group_id: str | None = None
    group_sequence: int | None = None
    reply_to_group_id: str | None = None


def is_data_section(rest: bytes, position: int) -> bool:
    """Return whether everything from `position` on is exactly one data section."""
    size = len(rest) - position
    if size >= LONG_DATA_PREFIX_BYTES and rest.startswith(DATA_32_START, position):
        return bool(_LENGTH.unpack_from(rest, position + 4)[0] == size - LONG_DATA_PREFIX_BYTES)
    return (
        size >= _SHORT_DATA_PREFIX_BYTES
        and rest.startswith(DATA_8_START, position)
        and rest[position + 4] == size - _SHORT_DATA_PREFIX_BYTES
    )


def check_bare_message(rest: bytes) -> int:
    """Check the sections that follow the annotations; return where the body begins.

    Delivery annotations may stand at the end, where the Python SDK writes them [azure-eventhub 5.15.1,
    `encode_payload`]. Raises DecodeError if a section is malformed or misplaced, or there is no body.
    """
    last = body = body_at = 0
    position = 0
    while position < len(rest):
        start, position, code = position, *section_at(rest, position)
        if code == DELIVERY_ANNOTATIONS and body and position == len(rest):
            check_section(rest[start:])
            break
        if not PROPERTIES <= code <= FOOTER or code < last or (code == last and code not in _MAY_REPEAT):
            raise DecodeError("a message's sections are not in their order")
        if code in _BODIES:
            if body not in {0, code}:
                raise DecodeError("a message has bodies of different kinds")
            body_at = body_at if body else start
            body = code
        last = code
        is_plain = _PLAIN.get(code)
        if is_plain is None or not is_plain(rest, start, position):
            check_section(rest[start:position])
    if not body:
        raise DecodeError("a message has no body")
    return body_at


def section_at(message: bytes, position: int) -> tuple[int, int]:
    """Return where the section at `position` ends, and the section's code.

    Raises DecodeError if no section begins there.
    """
    # The SDKs expect the code in the third byte, so other encodings of it are refused.
    if message[position : position + 2] != SECTION_START or position + 2 >= len(message):
        raise DecodeError("a message has no section where one must begin")
    return skip(message, position), message[position + 2]


def decode_sections(message: bytes) -> Iterator[Described]:
    """Yield a message's sections, decoded. Raises DecodeError if the message is malformed."""
    position = 0
    while position < len(message):
        section, position = decode(message, position)
        if not isinstance(section, Described):
            raise DecodeError("a message's section is not described")
        yield section


def check_section(section: bytes) -> None:
    """Check one whole section with every value in it. Raises DecodeError if anything in it is invalid."""
    described, end = decode(section)
    if end != len(section) or not isinstance(described, Described):
        raise DecodeError("a section is not a described value")
    code, value = described
    if code in {HEADER, PROPERTIES}:
        _check_fields(_Header if code == HEADER else _Properties, value)
    elif code == APPLICATION_PROPERTIES and not (isinstance(value, dict) and _are_texts(value)):
        raise DecodeError("application properties are not a map with strings as keys")
    elif code in {FOOTER, DELIVERY_ANNOTATIONS} and not isinstance(value, dict):
        raise DecodeError("a footer or delivery annotations are not a map")
    elif code == SEQUENCE and not isinstance(value, list):
        raise DecodeError("a sequence section is not a list")
    elif code == DATA and not isinstance(value, bytes):
        raise DecodeError("a data section is not binary")


def _check_fields(kind: type[msgspec.Struct], value: object) -> None:
    try:
        msgspec.convert(value, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as exc:
        raise DecodeError(f"{kind.__name__.strip('_').lower()}: {exc}") from exc


def _are_texts(value: dict[Any, Any]) -> bool:
    return all(isinstance(key, str) for key in value)


# Fast checks of the sections that nearly every message has. A section that fails one is decoded to find out
# whether it is valid.


def _is_plain_data(message: bytes, start: int, _end: int) -> bool:
    return message[start + 3] in _BINARY


def _are_plain_application_properties(message: bytes, start: int, end: int) -> bool:
    """Return whether the section is a small map from ASCII names to scalars."""
    if message[start + 3] != _MAP_8 or end - start < _FIRST_ITEM:
        return False
    position, has_name = start + _FIRST_ITEM, False
    for _ in range(message[start + 5]):
        if position >= end:
            return False
        code = message[position]
        has_name = not has_name
        if (has_name and code != _STRING_8) or (position := _plain_end(message, position, code, end)) == 0:
            return False
    return position == end and not has_name


def _are_plain_properties(message: bytes, start: int, end: int) -> bool:
    """Return whether the section is a small list of known fields with ASCII texts."""
    position = start + _FIRST_ITEM
    if message[start + 3] != _LIST_8 or position > end:
        return False
    count = message[start + 5]
    if count > len(_CODES_OF_FIELDS):
        return False
    for codes in _CODES_OF_FIELDS[:count]:
        if position >= end:
            return False
        code = message[position]
        if code not in codes or (position := _plain_end(message, position, code, end)) == 0:
            return False
    return position == end


def _plain_end(message: bytes, position: int, code: int, end: int) -> int:
    """Return where the value at `position` ends, or 0 if that cannot be told without decoding the value."""
    width = _WIDTHS.get(code)
    if width is not None:
        return position + 1 + width
    if (code not in _TEXTS and code != _BINARY_8) or position + 1 >= end:
        return 0
    text_at = position + 2
    position = text_at + message[position + 1]
    return position if code == _BINARY_8 or message[text_at:position].isascii() else 0


_PLAIN: dict[int, Callable[[bytes, int, int], bool]] = {
    PROPERTIES: _are_plain_properties,
    APPLICATION_PROPERTIES: _are_plain_application_properties,
    DATA: _is_plain_data,
}
_NULL = frozenset((0x40,))
_IDS = _NULL | {0x44, 0x53, 0x80, 0x98, _BINARY_8, _STRING_8}
_TEXT_OR_NULL = _NULL | _TEXTS
_TIMESTAMP_OR_NULL = _NULL | {0x83}
_CODES_OF_FIELDS = (
    _IDS,
    _NULL | {_BINARY_8},
    *[_TEXT_OR_NULL] * 3,
    _IDS,
    *[_TEXT_OR_NULL] * 2,
    *[_TIMESTAMP_OR_NULL] * 2,
    _TEXT_OR_NULL,
    _NULL | {0x43, 0x52, 0x70},
    _TEXT_OR_NULL,
)
