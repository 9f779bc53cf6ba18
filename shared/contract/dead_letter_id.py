"""Which dead letter a record replays: application properties of its event, `extra` of its row (pure)."""

from typing import Any, Self

import msgspec
from msgspec import Struct

EXTRA_FIELD = "replay_of"
_CREATED_AT_RECEIVED = b"replay_created_at"
_CREATED_AT, _NUMBERS = "replay_created_at", ("replay_partition", "replay_sequence_number", "replay_line")


class DeadLetterId(Struct, frozen=True):
    """One dead letter, for ever: its hub's created_at, and where in that hub its record stood."""

    created_at: str
    partition: int
    sequence_number: int
    line: int

    def properties(self) -> dict[str | bytes, Any]:
        """As application properties of the event that replays it."""
        numbers = (self.partition, self.sequence_number, self.line)
        return {_CREATED_AT: self.created_at, **dict(zip(_NUMBERS, numbers, strict=True))}

    @classmethod
    def from_properties(cls, properties: dict[Any, Any] | None) -> Self | None:
        """The dead letter that an event replays; None for one that replays none. A received name is bytes."""
        if not properties or (_CREATED_AT_RECEIVED not in properties and _CREATED_AT not in properties):
            return None
        created_at, *numbers = [
            properties.get(name.encode(), properties.get(name)) for name in (_CREATED_AT, *_NUMBERS)
        ]
        text = created_at.decode(errors="replace") if isinstance(created_at, bytes) else created_at
        try:
            return cls(*msgspec.convert((text, *numbers), tuple[str, int, int, int]))
        except msgspec.ValidationError:
            return None  # somebody else's properties


def add_replay_of(extra: str | None, letter: DeadLetterId) -> str:
    """A row's `extra` that names the dead letter too; a sender's own field of that name gives way."""
    fields = msgspec.json.decode(extra, type=dict[str, msgspec.Raw]) if extra else {}
    fields[EXTRA_FIELD] = msgspec.Raw(msgspec.json.encode(letter))
    return msgspec.json.encode(fields).decode()
