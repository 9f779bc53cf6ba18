"""Ids of events that an operator names in a setting: `[STREAM/]PARTITION:SEQUENCE`, separated by commas."""

from typing import NamedTuple

from shared.service.errors import SettingsError


class EventId(NamedTuple):
    """The id of an event; `stream` is empty if the setting does not name it."""

    stream: str
    partition: int
    sequence_number: int


def parse_event_ids(text: str, variable: str) -> list[EventId]:
    """Return the ids in a setting. Raises SettingsError if an id is malformed."""
    ids = []
    for word in filter(None, map(str.strip, text.split(","))):
        stream, _, place = word.rpartition("/")
        partition, _, sequence = place.partition(":")
        if not (partition.isdecimal() and sequence.isdecimal()):
            raise SettingsError(f"{variable}: {word!r} is not PARTITION:SEQUENCE")
        ids.append(EventId(stream, int(partition), int(sequence)))
    return ids
