"""Which dead letters are meant (pure)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from services.dead_letters.settings import DeadLettersSettings
from shared.dead_letters.letter import CODES, Letter, code_of
from shared.errors import NeedsAttention
from shared.slot_chain.slot import Lane, LetterFile

_ID = re.compile(r"(?P<partition>\d+)(?:-g(?P<generation>\d+))?:(?P<sequence>\d+)(?::(?P<line>\d+))?")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a record stood: its lane's hub, its event, its line there."""

    lane: Lane
    sequence_number: int
    line: int

    def __str__(self) -> str:
        """As `list` shows it: 3:481200:0, or 3-g2:481200:0 of the second hub of the name."""
        return f"{_event_id(self.lane, self.sequence_number)}:{self.line}"


@dataclass(frozen=True, slots=True)
class Named:
    """What an id names: one letter, or with no line all letters of an event."""

    lane: Lane
    sequence_number: int
    line: int | None

    @classmethod
    def of(cls, text: str, stream: str) -> Self:
        """Raises NeedsAttention for a text that is no id."""
        found = _ID.fullmatch(text.strip())
        if found is None:
            raise NeedsAttention(
                f"{text!r} is no dead letter's id: give PARTITION:SEQUENCE or PARTITION:SEQUENCE:LINE"
            )
        lane = Lane(stream, int(found["partition"]), int(found["generation"] or 1))
        return cls(lane, int(found["sequence"]), None if found["line"] is None else int(found["line"]))

    def __str__(self) -> str:
        event = _event_id(self.lane, self.sequence_number)
        return event if self.line is None else f"{event}:{self.line}"

    def takes(self, place: Place) -> bool:
        return (self.lane, self.sequence_number) == (place.lane, place.sequence_number) and (
            self.line is None or self.line == place.line
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """Everything that is not ruled out; with `named`, only what an id names."""

    stream: str
    named: tuple[Named, ...] = ()
    partition: int | None = None
    code: str = ""
    since: datetime | None = None

    @classmethod
    def of(cls, settings: DeadLettersSettings) -> Self:
        """Raises NeedsAttention for an id, a reason or a time that is none."""
        settings.hub()
        ids = [one for one in settings.ids.split(",") if one.strip()]
        named = tuple(Named.of(one, settings.stream) for one in ids)
        return cls(
            settings.stream, named, settings.partition, _code(settings.reason), _instant(settings.since)
        )

    @property
    def is_narrowed(self) -> bool:
        return bool(self.named or self.partition is not None or self.code or self.since)

    def files(self, files: Iterable[LetterFile]) -> list[LetterFile]:
        """Those files, in order, in which a letter that is meant may stand."""
        ordered = sorted(files, key=lambda file: (file.lane, file.first, file.attempt))
        if self.partition is not None:
            ordered = [file for file in ordered if file.lane.partition == self.partition]
        if not self.named:
            return ordered
        # Files start where committed ones do: an event stands in the last that does not start after it.
        firsts = set()
        for named in self.named:
            before = [
                file.first
                for file in ordered
                if file.lane == named.lane and file.first <= named.sequence_number
            ]
            firsts.add((named.lane, max(before, default=-1)))
        return [file for file in ordered if (file.lane, file.first) in firsts]

    def takes(self, place: Place, letter: Letter) -> bool:
        """Whether the letter is meant."""
        return (
            (not self.named or any(one.takes(place) for one in self.named))
            and (self.partition is None or place.lane.partition == self.partition)
            and (not self.code or code_of(letter.reason) == self.code)
            and (self.since is None or letter.enqueued_at >= self.since)
        )


def _event_id(lane: Lane, sequence_number: int) -> str:
    again = f"-g{lane.generation}" if lane.generation > 1 else ""
    return f"{lane.partition}{again}:{sequence_number}"


def _code(text: str) -> str:
    code = text.strip().replace("-", " ").replace("_", " ")
    if code and code not in CODES:
        known = ", ".join(one.replace(" ", "-") for one in CODES)
        raise NeedsAttention(f"--reason {text}: there is no such reason; there are {known}")
    return code


def _instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise NeedsAttention(f"--since {text}: give an RFC 3339 time such as 2026-03-01T12:00:00Z") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
