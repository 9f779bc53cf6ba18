"""Conversion of dataclasses of text and integer fields to Parquet key-values and back. No I/O."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def to_key_values(value: Any) -> dict[str, str]:
    """Return the fields of a dataclass by name, as text; integers are decimal."""
    return {field.name: str(getattr(value, field.name)) for field in fields(value)}


def parse_key_values(kind: type[Any], key_values: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Parse the fields of the dataclass `kind` from key-values.

    Raises KeyError if a field is absent, or ValueError if a value cannot be parsed.
    """
    values: dict[str, Any] = {}
    for field in fields(kind):
        text = key_values[field.name.encode()].decode()
        values[field.name] = int(text) if field.type is int else text
    return values
