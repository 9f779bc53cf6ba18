"""Warnings about the fields and parameters of a request that the scorer does not know. Pure.

They are ignored, but most are misspelt, and a field that is missed changes the price.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import msgspec
from multidict import MultiMapping

from shared.http.json_pointer import escape_step
from shared.http.problems import Problem, kind_uri

_MAX_WARNINGS = 20
_MAX_CHARACTERS = 64
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class UnknownField(NamedTuple):
    """A field that is not known, and the JSON pointer to the object that has it."""

    place: str
    name: str


def find_unknown_fields(data: bytes, known: Collection[str], place: str = "") -> list[UnknownField]:
    """Return the unknown fields of the JSON object at `place`; none if it is no object."""
    try:
        names = _FIELDS.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return []
    return [UnknownField(place, name) for name in names if name not in known]


def find_unknown_parameters(query: MultiMapping[str], known: Collection[str]) -> list[str]:
    """Return the unknown parameters of a query, each once."""
    return [name for name in dict.fromkeys(query) if name not in known]


def write_warnings(fields: Iterable[UnknownField], parameters: Iterable[str] = ()) -> list[Problem]:
    """Return a warning for each name, with a pointer to the first field of it; at most 20."""
    found = [_warn("parameter", name) for name in parameters]
    first: dict[str, UnknownField] = {}
    for field in fields:
        first.setdefault(field.name, field)
    found += [
        _warn("field", one.name, f"{one.place}/{escape_step(_cut(one.name))}") for one in first.values()
    ]
    return found[:_MAX_WARNINGS]


def _warn(what: str, name: str, pointer: str | None = None) -> Problem:
    return Problem(
        kind_uri(f"unknown-{what}"),
        f"Unknown {what}",
        f"`{_cut(name)}` is no {what} of this operation: it was ignored",
        pointer=msgspec.UNSET if pointer is None else pointer,
    )


def _cut(name: str) -> str:
    return name if len(name) <= _MAX_CHARACTERS else f"{name[:_MAX_CHARACTERS]}…"
