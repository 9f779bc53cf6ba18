"""The replacements of dead letters, and the check that a replacement would not be a dead letter again."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from services.cli.dead_letters.replay import MAX_BODY_BYTES
from services.cli.dead_letters.replay_log import Replacement
from services.cli.dead_letters.selection import LetterRef, Place
from services.cli.dead_letters.settings import DeadLettersSettings
from services.cli.dead_letters.stored_letters import StoredLetter
from shared.codec.body_decoder import BodyDecoder
from shared.codec.content_encoding import GZIP_MAGIC, is_gzip
from shared.service.errors import NeedsAttention
from shared.streams.amqp_values import properties_from_json


class _Line(Struct):
    """A line of `show --json`, with only the fields that a repair needs."""

    id: str
    stream: str = ""
    content_type: str | None = None
    content_encoding: str | UnsetType | None = UNSET
    properties: dict[str, Any] | UnsetType | None = UNSET
    text: str | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Repair:
    """What to send instead of a dead letter. What is UNSET is sent as the letter has it."""

    content_type: str | None
    body: bytes
    content_encoding: str | UnsetType | None = UNSET
    properties: dict[str, Any] | UnsetType | None = UNSET


class Repairer:
    """Makes the replacement of each dead letter, with the repaired body if there is one.

    Without a repaired body, the replacement has the body of the dead letter.
    """

    def __init__(self, settings: DeadLettersSettings, by_place: Mapping[Place, Repair]) -> None:
        self._decoder = BodyDecoder(settings.contract())
        self._content_type = settings.content_type or None
        self._body = _read_bytes(settings.body) if settings.body is not None else None
        self._by_place = by_place
        self._force = settings.force

    def make_replacement(self, found: StoredLetter) -> Replacement:
        """Return the event to send for a letter.

        The body and content type in the settings win over the repair, and the repair over the letter. A body
        in the settings is sent as gzip only if it is gzip.
        """
        letter = found.letter
        repair = self._by_place.get(found.place, Repair(letter.content_type, letter.body))
        encoding = letter.content_encoding if repair.content_encoding is UNSET else repair.content_encoding
        properties = letter.properties if repair.properties is UNSET else repair.properties
        body = repair.body
        if self._body is not None:
            body = self._body
            if is_gzip(encoding) and not body.startswith(GZIP_MAGIC):
                encoding = None
        return Replacement(found.id, self._content_type or repair.content_type, body, encoding, properties)

    def find_refusal(self, replacement: Replacement) -> str | None:
        """Return the reason why a replacement must not be sent; None if it may be sent.

        A replacement is refused if it is too large, or if it would be a dead letter again and is not forced.
        """
        if replacement.size_bytes > MAX_BODY_BYTES:
            return f"too large: an event holds at most {MAX_BODY_BYTES:,} bytes"
        try:
            properties_from_json(replacement.properties or {})
        except ValueError as error:
            return str(error)
        if self._force:
            return None
        bad = self._decoder.decode(
            replacement.body, replacement.content_type, replacement.content_encoding
        ).bad
        return f"line {bad[0].line} would be a dead letter again: {bad[0].reason}" if bad else None


def read_repairs(path: Path, stream: str) -> dict[Place, Repair]:
    """Read repairs from a file of `show --json` lines.

    Raises NeedsAttention if the file cannot be read, or (naming the line) if a line is invalid, is of another
    stream or repeats a letter.
    """
    repairs: dict[Place, Repair] = {}
    for number, raw in enumerate(_read_bytes(path).splitlines(), start=1):
        if not raw.strip():
            continue
        try:
            line = msgspec.json.decode(raw, type=_Line)
            place, one = _parse_place(line, stream), _read_repair(line)
        except (msgspec.MsgspecError, NeedsAttention, ValueError) as error:
            raise NeedsAttention(f"{path}, line {number}: {error}") from error
        if place in repairs:
            raise NeedsAttention(f"{path}, line {number}: {place} is there twice")
        repairs[place] = one
    return repairs


def _parse_place(line: _Line, stream: str) -> Place:
    if line.stream not in ("", stream):
        raise NeedsAttention(f"{line.id} is of {line.stream}, not of {stream}: give --stream {line.stream}")
    named = LetterRef.parse(line.id, stream)
    if named.line is None:
        raise NeedsAttention(f"{line.id} does not say which line: give PARTITION:SEQUENCE:LINE")
    return Place(named.chain, named.sequence_number, named.line)


def _read_repair(line: _Line) -> Repair:
    return Repair(line.content_type, _decode_body(line), line.content_encoding, line.properties)


def _decode_body(line: _Line) -> bytes:
    if (line.text is None) == (line.body is None):
        raise NeedsAttention(f"{line.id} needs either text or body (base64)")
    if line.text is not None:
        return line.text.encode()
    try:
        return base64.b64decode(line.body or "", validate=True)
    except binascii.Error as error:
        raise NeedsAttention(f"the body of {line.id} is no base64: {error}") from error


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NeedsAttention(f"{path} cannot be read: {error.strerror}") from error
