"""Which dead letters are meant (pure)."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from services.cli.dead_letters.settings import DeadLettersSettings
from shared.lake.dead_letters import CODES, Letter, reason_code
from shared.lake.slots.slot import ChainKey, DeadLetterFile
from shared.service.errors import NeedsAttention

# The hub says when an event came, the storage when a file was written.
_CLOCKS_APART = timedelta(hours=1)
_ID = re.compile(r"(?P<partition>\d+)(?:-g(?P<generation>\d+))?:(?P<sequence>\d+)(?::(?P<line>\d+))?")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a record stood: its lane's hub, its event, its line there."""

    lane: ChainKey
    sequence_number: int
    line: int

    def __str__(self) -> str:
        """As `list` shows it: 3:481200:0, or 3-g2:481200:0 of the second hub of the name."""
        return f"{_event_id(self.lane, self.sequence_number)}:{self.line}"


@dataclass(frozen=True, slots=True)
class Named:
    """What an id names: one letter, or with no line all letters of an event."""

    lane: ChainKey
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
        lane = ChainKey(stream, int(found["partition"]), int(found["generation"] or 1))
        return cls(lane, int(found["sequence"]), None if found["line"] is None else int(found["line"]))

    def __str__(self) -> str:
        event = _event_id(self.lane, self.sequence_number)
        return event if self.line is None else f"{event}:{self.line}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Everything that is not ruled out; with `named`, only what an id names."""

    stream: str
    named: frozenset[Named] = frozenset()
    partition: int | None = None
    code: str = ""
    since: datetime | None = None

    @classmethod
    def of(cls, settings: DeadLettersSettings) -> Self:
        """Raises NeedsAttention for an id, a reason or a time that is none."""
        settings.hub()
        ids = [one for one in settings.ids.split(",") if one.strip()]
        named = frozenset(Named.of(one, settings.stream) for one in ids)
        return cls(
            settings.stream, named, settings.partition, _code(settings.reason), _instant(settings.since)
        )

    @property
    def is_narrowed(self) -> bool:
        return bool(self.named or self.partition is not None or self.code or self.since)

    def files(self, files: Iterable[DeadLetterFile]) -> list[DeadLetterFile]:
        """Those files, in order, in which a letter that is meant may stand."""
        ordered = sorted(files, key=lambda file: (file.chain, file.first, file.attempt))
        if self.partition is not None:
            ordered = [file for file in ordered if file.chain.partition == self.partition]
        if not self.named:
            return ordered
        # Files start where committed ones do: an event stands in the last that does not start after it.
        starts: dict[ChainKey, list[int]] = {}
        for file in ordered:
            starts.setdefault(file.chain, []).append(file.first)
        firsts = set()
        for named in self.named:
            of_lane = starts.get(named.lane, [])
            if before := bisect_right(of_lane, named.sequence_number):
                firsts.add((named.lane, of_lane[before - 1]))
        return [file for file in ordered if (file.chain, file.first) in firsts]

    def may_hold(self, written_at: datetime) -> bool:
        """Whether a file that was written then may hold a letter that is meant: those in it came before."""
        return self.since is None or written_at >= self.since - _CLOCKS_APART

    def takes(self, place: Place, letter: Letter) -> bool:
        """Whether the letter is meant."""
        return (
            (not self.named or not self.named.isdisjoint(names_of(place)))
            and (self.partition is None or place.lane.partition == self.partition)
            and (not self.code or reason_code(letter.reason) == self.code)
            and (self.since is None or letter.enqueued_at >= self.since)
        )


def names_of(place: Place) -> tuple[Named, Named]:
    """What names a letter: its event, and its line alone."""
    return Named(place.lane, place.sequence_number, None), Named(
        place.lane, place.sequence_number, place.line
    )


def _event_id(lane: ChainKey, sequence_number: int) -> str:
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
