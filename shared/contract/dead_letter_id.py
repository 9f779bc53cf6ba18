"""The dead letter that a record replays, as properties of its event and in `extra` of its row. Pure."""

from typing import Any, Self

import msgspec
from msgspec import Struct

EXTRA_FIELD = "replay_of"
_CREATED_AT, _NUMBERS = "replay_created_at", ("replay_partition", "replay_sequence_number", "replay_line")


class DeadLetterId(Struct, frozen=True):
    """The permanent identity of a dead letter: its hub's created_at and its record's position in that hub."""

    created_at: str
    partition: int
    sequence_number: int
    line: int

    def properties(self) -> dict[str | bytes, Any]:
        """Return the application properties of an event that replays this dead letter."""
        numbers = (self.partition, self.sequence_number, self.line)
        return {_CREATED_AT: self.created_at, **dict(zip(_NUMBERS, numbers, strict=True))}

    @classmethod
    def from_properties(cls, properties: dict[Any, Any] | None) -> Self | None:
        """Return the dead letter that an event replays, or None if it replays none.

        The SDK gives names as bytes in a received event, as text in one about to be sent.
        """
        if not properties or (_CREATED_AT.encode() not in properties and _CREATED_AT not in properties):
            return None
        created_at, *numbers = [
            properties.get(name.encode(), properties.get(name)) for name in (_CREATED_AT, *_NUMBERS)
        ]
        text = created_at.decode(errors="replace") if isinstance(created_at, bytes) else created_at
        try:
            return cls(*msgspec.convert((text, *numbers), tuple[str, int, int, int]))
        except msgspec.ValidationError:
            return None  # properties of another program


def add_replay_of(extra: str | None, letter: DeadLetterId) -> str:
    """Add the dead letter to a row's `extra`, in place of a sender's own field of that name."""
    fields = msgspec.json.decode(extra, type=dict[str, msgspec.Raw]) if extra else {}
    fields[EXTRA_FIELD] = msgspec.Raw(msgspec.json.encode(letter))
    return msgspec.json.encode(fields).decode()
