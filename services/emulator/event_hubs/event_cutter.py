"""Splitting of deliveries into events, each checked so that every SDK can read what the log holds."""

from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple

from services.emulator.log import annotations
from services.emulator.log.annotations import Event
from shared.amqp import encoder as amqp
from shared.amqp.decoder import DecodeError, decode, skip
from shared.amqp.sections import (
    DATA_8_START,
    DATA_32_START,
    HEADER_START,
    LONG_DATA_PREFIX_BYTES,
    SECTION_START,
    check_bare_message,
    check_section,
    is_data_section,
)

# The message format of a batch: data sections, each a complete encoded message.
BATCH_FORMAT = 0x80013700

_DELIVERY_ANNOTATIONS = b"\x00\x53\x71"
_MESSAGE_ANNOTATIONS = b"\x00\x53\x72"
_ANNOTATIONS = (_DELIVERY_ANNOTATIONS, _MESSAGE_ANNOTATIONS)
_PROPERTY_SECTIONS = (b"\x00\x53\x73", b"\x00\x53\x74")
_DATA_SECTION = Struct(">4sI")
# How messages without header and annotations begin: with properties, application properties or body.
_BARE_STARTS = frozenset(SECTION_START + bytes((code,)) for code in range(0x73, 0x78))
_LENGTH = Struct(">I")


class _Opening(NamedTuple):
    """The first `size` bytes of a message, parsed: header and annotations.

    Whatever follows the opening is stored unchanged.
    """

    size: int
    header: bytes
    annotations: bytes
    annotation_items: int
    key: str | None


# Every section begins with 0x00, so no message begins with this.
_NOTHING_SEEN = b"\xff"
_NO_OPENING = _Opening(0, b"", b"", 0, None)


class EventCutter:
    """A splitter of the deliveries of one link into events.

    The events of a batch mostly begin with the same bytes, so the cutter remembers the last opening that it
    parsed.
    """

    def __init__(self) -> None:
        self._seen = _NOTHING_SEEN
        self._opening = _NO_OPENING

    def cut(self, message_format: int, payload: bytes) -> tuple[list[Event], str | None]:
        """Return the events of a delivery and its partition key, or None as the key if there is none.

        Raises DecodeError if the delivery is not a valid message or batch.
        """
        opening = self._remember_opening(payload)
        if message_format == BATCH_FORMAT:
            events, key = self._cut_batch(payload, opening)
        else:
            events, key = [_split_event(payload, opening)], opening.key
        _check_bodies(events)
        return events, key

    def _cut_batch(self, payload: bytes, outer: _Opening) -> tuple[list[Event], str | None]:
        key = outer.key
        events: list[Event] = []
        append, section_at, starts_with = events.append, _DATA_SECTION.unpack_from, payload.startswith
        seen, (seen_bytes, header, own, own_items, seen_key) = self._seen, self._opening
        position, end = _find_batch_start(payload, outer.size), len(payload)
        # Written out, because it runs for every event: a call would cost as much as all of it.
        while position < end:
            is_short = end - position < _DATA_SECTION.size
            kind, size = _read_short_section(payload, position) if is_short else section_at(payload, position)
            if kind == DATA_32_START:
                start = position + 8
            elif kind == DATA_8_START:
                start, size = position + 5, payload[position + 4]
            else:
                raise DecodeError("a batch holds something else than data sections")
            position = start + size
            if position > end:
                raise DecodeError("a data section claims more bytes than there are")
            if payload[start : start + 3] in _BARE_STARTS:
                # Nearly all events have neither header nor annotations to decode.
                append((b"", b"", 0, payload[start:position]))
                continue
            after = start + seen_bytes
            # An opening that is only a header may go on with annotations in another event.
            is_seen = starts_with(seen, start) and payload[after : after + 3] not in _ANNOTATIONS
            if not is_seen or after >= position:
                message = payload[start:position]
                opening = self._remember_opening(message)
                append(_split_event(message, opening))
                key = key or opening.key
                seen, (seen_bytes, header, own, own_items, seen_key) = self._seen, self._opening
                continue
            append((header, own, own_items, payload[after:position]))
            if key is None:
                key = seen_key
        return events, key

    def _remember_opening(self, message: bytes) -> _Opening:
        opening = _parse_opening(message)
        if opening.size:
            # Sections contain their lengths, so messages that begin with the same bytes are parsed alike.
            self._seen, self._opening = message[: opening.size], opening
        return opening


def _check_bodies(events: Iterable[Event]) -> None:
    """Check what follows each event's header and annotations. Raises DecodeError if any of it is invalid."""
    known = b""
    length_at = _LENGTH.unpack_from
    for _, _, _, rest in events:
        # Nearly all are one data section, alone or behind the same sections as in the event before. The first
        # case is written out, because it runs for every event.
        size = len(rest) - LONG_DATA_PREFIX_BYTES
        if rest[:4] == DATA_32_START and size >= 0 and length_at(rest, 4)[0] == size:
            continue
        if rest.startswith(known) and is_data_section(rest, len(known)):
            continue
        body_at = check_bare_message(rest)
        known = rest[:body_at] if is_data_section(rest, body_at) else b""


def _read_short_section(payload: bytes, position: int) -> tuple[bytes, int]:
    """Return the start of a data section that lies in the last bytes of a batch.

    Only a small data section has room there.
    """
    kind = payload[position : position + 4]
    if kind != DATA_8_START or position + 4 == len(payload):
        raise DecodeError("a batch ends in the middle of a data section")
    return kind, 0


def _find_batch_start(payload: bytes, position: int) -> int:
    """Return the position at which the data sections of a batch begin.

    The JavaScript SDK repeats the first event's properties before the data sections; they are skipped.
    """
    while payload[position : position + 3] in _PROPERTY_SECTIONS:
        position = skip(payload, position)
    return position


def _split_event(message: bytes, opening: _Opening) -> Event:
    size, header, own, own_items, _ = opening
    if size >= len(message):
        raise DecodeError("a message has no body")
    return header, own, own_items, message[size:]


def _parse_opening(message: bytes) -> _Opening:
    position = 0
    header = b""
    if message[:3] == HEADER_START:
        position = skip(message, 0)
        header = message[:position]
        check_section(header)
    if message[position : position + 3] == _DELIVERY_ANNOTATIONS:
        # They concern only this hop.
        position = skip(message, position)
    if message[position : position + 3] == _MESSAGE_ANNOTATIONS:
        start, position = position, skip(message, position)
        return _Opening(position, header, *_parse_annotations(message[start:position]))
    if message[position : position + 2] != SECTION_START:
        raise DecodeError("a message has no section where one must begin")
    return _Opening(position, header, b"", 0, None)


def _parse_annotations(section: bytes) -> tuple[bytes, int, str | None]:
    """Parse a section of message annotations.

    Return the encoded entries to keep, the number of their items (keys and values), and the partition key or
    None. Entries that the service sets itself are dropped.
    """
    described, _ = decode(section)
    if not isinstance(described.value, dict):
        raise DecodeError("a message's annotations are not a map")
    key = described.value.get(annotations.PARTITION_KEY)
    if key is not None and not isinstance(key, str):
        raise DecodeError("a partition key is not a string")
    kept = []
    position = 4 + (2 if section[3] == amqp.MAP_8 else 8)
    while position < len(section):
        name, value_at = decode(section, position)
        start, position = position, skip(section, value_at)
        if name not in annotations.SERVICE_ANNOTATIONS:
            kept.append(section[start:position])
    return b"".join(kept), 2 * len(kept), key
