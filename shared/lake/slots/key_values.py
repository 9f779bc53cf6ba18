"""Dataclasses of texts and integers as the key-values of a Parquet footer, and back. Pure."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def to_key_values(value: Any) -> dict[str, str]:
    """Return a dataclass's fields as text by name, integers in decimal."""
    return {field.name: str(getattr(value, field.name)) for field in fields(value)}


def parse_key_values(kind: type[Any], key_values: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Parse the fields of the dataclass `kind`. Raises KeyError or ValueError if one is absent or wrong."""
    values: dict[str, Any] = {}
    for field in fields(kind):
        text = key_values[field.name.encode()].decode()
        values[field.name] = int(text) if field.type is int else text
    return values
