"""JSON texts as programs write them: with a byte order mark, whole numbers as floats, a bad array element."""

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

import msgspec

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# An object without nested ones, a text, or a character that opens, closes or separates values; a quotation
# mark alone is a text without its end.
_TOKEN = re.compile(
    rb'\{[^{}\[\]"]*+(?:"(?:[^"\\]++|\\.)*+"[^{}\[\]"]*+)*+\}|"(?:[^"\\]++|\\.)*+"|[\[\]{},"]', re.DOTALL
)
_BEFORE_OBJECT = re.compile(rb",\s*(?=\{)")
_LAST_CLOSING = re.compile(rb"(?<=\})\s*\]\s*\Z")
_MAX_EXACT = 2**53


def remove_byte_order_mark(text: bytes) -> bytes:
    """Return a text without the UTF-8 byte order mark that some programs write before it."""
    return text.removeprefix(BYTE_ORDER_MARK)


def expects_whole_number(error: msgspec.ValidationError) -> bool:
    """Return whether a value was refused because it is a float where an integer is declared."""
    message = str(error)
    return message.startswith("Expected `int") and "got `float`" in message


def with_whole_numbers(text: bytes) -> bytes:
    """Rewrite a JSON text so that whole numbers such as `2017.0` and `1e3` are integers, as JSON Schema says.

    Raises msgspec.MsgspecError if the text is not valid JSON.
    """
    return msgspec.json.encode(_REWRITER.decode(text))


def _read_number(text: str) -> int | float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("Number out of range")
    return int(number) if number.is_integer() and abs(number) < _MAX_EXACT else number


_REWRITER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=_read_number)


def split_array(text: bytes) -> Iterator[bytes]:
    """Yield the elements of a JSON array of which some are not valid JSON, each with its outer spaces.

    Elements are found by their brackets. From the element on whose brackets or quotation marks do not match,
    they are found by the `,{` before them alone, so an object with a list of objects may be split.
    """
    start = text.index(b"[") + 1
    depth = 1
    for token in _TOKEN.finditer(text, start):
        kind = token[0]
        if kind == b'"':
            break
        if kind == b"," and depth == 1:
            yield text[start : token.start()]
            start = token.end()
        elif kind in (b"[", b"{"):
            depth += 1
        elif kind in (b"]", b"}"):
            depth -= 1
            if not depth and kind == b"]":
                yield text[start : token.start()]
                start = token.end()
            if not depth:
                break
    rest = text[start:].strip()
    if rest:
        yield from _split_objects(_LAST_CLOSING.sub(b"", rest.removeprefix(b",")))


def _split_objects(text: bytes) -> Iterator[bytes]:
    start = 0
    for boundary in _BEFORE_OBJECT.finditer(text):
        yield text[start : boundary.start()]
        start = boundary.end()
    yield text[start:]
