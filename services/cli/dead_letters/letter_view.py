"""A dead letter as text for people and as JSON for machines (pure)."""

import base64
from typing import Any

import msgspec

from services.cli.dead_letters.stored_letters import StoredLetter
from shared.lake.dead_letters import Letter, reason_code

HEADINGS = ("ID", "ENQUEUED", "SIZE", "REPLAYED", "CONTENT TYPE", "REASON")
_WIDTHS = (18, 19, 10, 8, 22, 0)
_MAX_BYTES_SHOWN = 8 * 1024
_MAX_CHARACTERS_SHOWN = 1_024
_HEX_ROW = 16


def describe_state(is_done: bool | None) -> str:
    """Describe the replay of a letter: "no" (None: not begun), "begun" (False), or "yes" (True: done)."""
    return {None: "no", False: "begun", True: "yes"}[is_done]


def letter_fields(found: StoredLetter, is_done: bool | None) -> dict[str, Any]:
    """Return the fields that `list --json` and `show --json` have in common, by name."""
    letter = found.letter
    return {
        "id": str(found.place),
        "stream": letter.stream,
        "partition": letter.partition,
        "generation": found.place.chain.generation,
        "sequence_number": letter.sequence_number,
        "line": letter.line,
        "offset": letter.offset,
        "enqueued_at": letter.enqueued_at,
        "hub_created_at": found.created_at,
        "code": reason_code(letter.reason).replace(" ", "-"),
        "reason": letter.reason,
        "content_type": letter.content_type,
        "content_encoding": letter.content_encoding,
        "properties": letter.properties,
        "size_bytes": len(letter.body),
        "replayed": describe_state(is_done),
        "path": found.path,
    }


def format_json(found: StoredLetter, is_done: bool | None, *, with_body: bool) -> str:
    """Return a letter as one JSON object.

    If `with_body` is set, the body is in `text` if it is UTF-8, else in `body` as base64.
    """
    fields = letter_fields(found, is_done)
    if with_body:
        try:
            fields["text"] = found.letter.body.decode()
        except UnicodeDecodeError:
            fields["body"] = base64.b64encode(found.letter.body).decode()
    return msgspec.json.encode(fields).decode()


def format_heading() -> str:
    return _row(HEADINGS)


def format_row(found: StoredLetter, is_done: bool | None) -> str:
    """Return the letter as one line of the table for people."""
    letter = found.letter
    return _row(
        (
            str(found.place),
            f"{letter.enqueued_at:%Y-%m-%d %H:%M:%S}",
            f"{len(letter.body):,}".rjust(_WIDTHS[2]),
            describe_state(is_done),
            _printable(letter.content_type or "none"),
            _printable(letter.reason),
        )
    )


def format_letter(found: StoredLetter, is_done: bool | None) -> str:
    """Return the letter for people: its fields, then up to 8 KiB of its body, as text or in hexadecimal."""
    letter = found.letter
    fields = {
        "stream": letter.stream,
        "enqueued": letter.enqueued_at.isoformat(),
        "reason": _printable(letter.reason),
        "content type": _printable(letter.content_type or "none"),
        **_present_fields(letter),
        "offset": _printable(letter.offset),
        "replayed": describe_state(is_done),
        "file": found.path,
        "body": f"{len(letter.body):,} bytes",
    }
    lines = [
        str(found.place),
        *(f"  {name:<14}{value}" for name, value in fields.items()),
        *_body_lines(letter.body),
    ]
    return "\n".join(lines)


def _present_fields(letter: Letter) -> dict[str, str]:
    """Return the fields that few letters have."""
    fields = {}
    if letter.content_encoding:
        fields["encoding"] = _printable(letter.content_encoding)
    if letter.properties:
        shown = msgspec.json.encode(letter.properties).decode()
        cut = f"{shown[:_MAX_CHARACTERS_SHOWN]}…" if len(shown) > _MAX_CHARACTERS_SHOWN else shown
        fields["properties"] = _printable(cut)
    return fields


def _body_lines(body: bytes) -> list[str]:
    shown, more = body[:_MAX_BYTES_SHOWN], len(body) - _MAX_BYTES_SHOWN
    rest = [f"  … {more:,} more bytes: --raw writes them all"] if more > 0 else []
    try:
        body.decode()
        return [*(_printable(line) for line in shown.decode(errors="ignore").splitlines()), *rest]
    except UnicodeDecodeError:
        return [*_hex_rows(shown), *rest]


def _hex_rows(data: bytes) -> list[str]:
    rows = (data[start : start + _HEX_ROW] for start in range(0, len(data), _HEX_ROW))
    return [
        f"  {start * _HEX_ROW:08x}  {one.hex(' '):<{3 * _HEX_ROW}} "
        + "".join(chr(byte) if 32 <= byte < 127 else "." for byte in one)  # noqa: PLR2004 - printable ASCII
        for start, one in enumerate(rows)
    ]


def _row(cells: tuple[str, ...]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def _printable(text: str) -> str:
    # A sender's text may contain control characters of the terminal.
    return "".join(one if one.isprintable() or one == "\t" else "\N{REPLACEMENT CHARACTER}" for one in text)
