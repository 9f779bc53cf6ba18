"""What is sent in a dead letter's stead, and whether it would only be a dead letter again."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from services.cli.dead_letters.replay import MAX_BODY_BYTES
from services.cli.dead_letters.replay_log import Replacement
from services.cli.dead_letters.selection import Named, Place
from services.cli.dead_letters.settings import DeadLettersSettings
from services.cli.dead_letters.stored_letters import StoredLetter
from shared.codec.bodies import BodyDecoder
from shared.service.errors import NeedsAttention


class _Line(Struct):
    """What is read of a line of `show --json`; the rest of it is for people."""

    id: str
    stream: str = ""
    content_type: str | None = None
    text: str | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Mended:
    """A body in the stead of a letter's own."""

    content_type: str | None
    body: bytes


class Mending:
    """Makes replacements: with the bytes that were given, or a letter's own."""

    def __init__(self, settings: DeadLettersSettings, by_place: Mapping[Place, Mended]) -> None:
        self._decoder = BodyDecoder(settings.contract())
        self._content_type = settings.content_type or None
        self._body = _bytes_of(settings.body) if settings.body is not None else None
        self._by_place = by_place
        self._force = settings.force

    def replacement(self, found: StoredLetter) -> Replacement:
        """What is sent for a letter."""
        mended = self._by_place.get(found.place, Mended(found.letter.content_type, found.letter.body))
        body = mended.body if self._body is None else self._body
        return Replacement(found.id, self._content_type or mended.content_type, body)

    def refusal(self, replacement: Replacement) -> str | None:
        """Why it is not to be sent; None where it is."""
        if len(replacement.body) > MAX_BODY_BYTES:
            return f"too large: an event holds at most {MAX_BODY_BYTES:,} bytes"
        if self._force:
            return None
        bad = self._decoder.decode(replacement.body, replacement.content_type).bad
        return f"line {bad[0].line} would be a dead letter again: {bad[0].reason}" if bad else None


def read_mended(path: Path, stream: str) -> dict[Place, Mended]:
    """The letters in a file of `show --json` lines; raises NeedsAttention, naming the line."""
    mended: dict[Place, Mended] = {}
    for number, raw in enumerate(_bytes_of(path).splitlines(), start=1):
        if not raw.strip():
            continue
        try:
            line = msgspec.json.decode(raw, type=_Line)
            place, one = _place_in(line, stream), Mended(line.content_type, _body_in(line))
        except (msgspec.MsgspecError, NeedsAttention, ValueError) as error:
            raise NeedsAttention(f"{path}, line {number}: {error}") from error
        if place in mended:
            raise NeedsAttention(f"{path}, line {number}: {place} stands there twice")
        mended[place] = one
    return mended


def _place_in(line: _Line, stream: str) -> Place:
    if line.stream not in ("", stream):
        raise NeedsAttention(f"{line.id} is of {line.stream}, not of {stream}: give --stream {line.stream}")
    named = Named.of(line.id, stream)
    if named.line is None:
        raise NeedsAttention(f"{line.id} does not say which line: give PARTITION:SEQUENCE:LINE")
    return Place(named.lane, named.sequence_number, named.line)


def _body_in(line: _Line) -> bytes:
    if (line.text is None) == (line.body is None):
        raise NeedsAttention(f"{line.id} needs either text or body (base64)")
    if line.text is not None:
        return line.text.encode()
    try:
        return base64.b64decode(line.body or "", validate=True)
    except binascii.Error as error:
        raise NeedsAttention(f"the body of {line.id} is no base64: {error}") from error


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NeedsAttention(f"{path} cannot be read: {error.strerror}") from error
