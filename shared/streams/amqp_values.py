"""AMQP values as the SDK decodes them, written as JSON and back: message bodies and application properties.

The SDK gives strings, symbols and binary values all as bytes [azure-eventhub 5.15.1]; what is UTF-8 is taken
for text. In JSON, a value of a type that JSON lacks is an object of one field, such as `{"base64": "/w=="}`.
A decimal is text, because the SDK cannot decode the decimals that it encodes.
"""

import base64
from collections.abc import Callable, Mapping
from functools import partial
from math import isfinite
from typing import Any
from uuid import UUID

import msgspec

_INT32, _INT64 = 2**31, 2**63
_NAMES = {float: "double", UUID: "uuid"}
_FROM_JSON: dict[str, Callable[[str], Any]] = {
    "base64": partial(base64.b64decode, validate=True),
    "double": float,
    "uuid": UUID,
}
_KINDS = {dict: "a map", list: "a list", bool: "a boolean", int: "a number", float: "a number"}
_HOW_TO_SEND = "send it as data, text or binary"


class Undecodable(msgspec.Struct, frozen=True):
    """The value of a message that the SDK could not decode: its body as bytes, and the reason."""

    body: bytes
    reason: str


def read_body_without_data(value: Any, sequence: list[Any] | None) -> tuple[bytes, str | None]:
    """Return the body of a message without data sections, and why it cannot be decoded (None if it can).

    A text or binary value is the body. Any other value, or a sequence, is returned as JSON, so that a dead
    letter keeps it.
    """
    if isinstance(value, Undecodable):
        return value.body, value.reason
    if sequence is not None:
        return _write_json(sequence), f"malformed: the body is an AMQP sequence: {_HOW_TO_SEND}"
    if isinstance(value, bytes):
        return value, None
    if isinstance(value, str):
        return value.encode(errors="surrogateescape"), None
    if value is None:
        return b"", None
    kind = _KINDS.get(type(value), "no text")
    return _write_json(value), f"malformed: the body is an AMQP value that is {kind}: {_HOW_TO_SEND}"


def properties_to_json(properties: Mapping[Any, Any] | None) -> dict[str, Any] | None:
    """Return application properties as values of JSON; None if there are none."""
    if not properties:
        return None
    return {_read_text(name): _to_json(value) for name, value in properties.items()}


def properties_from_json(properties: Mapping[str, Any]) -> dict[str | bytes, Any]:
    """Return application properties to send, from what `properties_to_json` made of received ones.

    Raises ValueError, naming the property, if a person wrote a value that is no property's.
    """
    made: dict[str | bytes, Any] = {}
    for name, value in properties.items():
        try:
            made[name] = _from_json(value)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"the property {name} has no value that can be sent") from error
    return made


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        ((kind, text),) = value.items()
        return _FROM_JSON[kind](text)
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT32 <= value < _INT32:
        # The SDK would send an int of four bytes.
        if not -_INT64 <= value < 2 * _INT64:
            raise ValueError(value)
        return {"TYPE": "LONG" if value < _INT64 else "ULONG", "VALUE": value}
    if isinstance(value, list):
        raise TypeError(value)
    return value


def _read_text(name: Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


def _to_json(value: Any) -> Any:
    """Return a simple value as one of JSON."""
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    for kind, name in _NAMES.items():
        if isinstance(value, kind):
            return {name: str(value)}
    return str(value)


def _write_json(value: Any) -> bytes:
    """Encode a value of any type and depth; a map whose keys are not all text is a list of pairs.

    This does not recurse: a sender may nest values as deep as the SDK can decode them.
    """
    parts: list[bytes] = []
    pending: list[Any] = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, msgspec.Raw):
            parts.append(bytes(one))
        elif isinstance(one, list):
            pending += _reverse_items(b"[", ([item] for item in one), b"]")
        elif isinstance(one, dict) and all(isinstance(key, bytes | str) for key in one):
            items = ([_read_text(key), _RAW_COLON, item] for key, item in one.items())
            pending += _reverse_items(b"{", items, b"}")
        elif isinstance(one, dict):
            pending.append([list(pair) for pair in one.items()])
        else:
            parts.append(msgspec.json.encode(_to_json(one)))
    return b"".join(parts)


_RAW_COLON, _RAW_COMMA = msgspec.Raw(b":"), msgspec.Raw(b",")


def _reverse_items(opening: bytes, items: Any, closing: bytes) -> list[Any]:
    """Return the parts of a list or map in reverse order, separated by commas."""
    parts: list[Any] = [msgspec.Raw(opening)]
    for number, item in enumerate(items):
        parts += [_RAW_COMMA, *item] if number else item
    return [*parts, msgspec.Raw(closing)][::-1]
