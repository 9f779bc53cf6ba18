"""The filters that select the dead letters of a command (pure)."""

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

# The hub's clock dates events, the storage's clock dates files.
_CLOCKS_APART = timedelta(hours=1)
_ID = re.compile(r"(?P<partition>\d+)(?:-g(?P<generation>\d+))?:(?P<sequence>\d+)(?::(?P<line>\d+))?")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """The place of a record: its chain, the sequence number of its event, and its line in the event."""

    chain: ChainKey
    sequence_number: int
    line: int

    def __str__(self) -> str:
        """Format the place as `list` shows it: 3:481200:0, or 3-g2:481200:0 for generation 2 of the hub."""
        return f"{_event_id(self.chain, self.sequence_number)}:{self.line}"


@dataclass(frozen=True, slots=True)
class LetterRef:
    """A reference to one letter; if `line` is None, to all letters of an event."""

    chain: ChainKey
    sequence_number: int
    line: int | None

    @classmethod
    def parse(cls, text: str, stream: str) -> Self:
        """Parse PARTITION:SEQUENCE or PARTITION:SEQUENCE:LINE. Raises NeedsAttention if `text` is neither."""
        found = _ID.fullmatch(text.strip())
        if found is None:
            raise NeedsAttention(
                f"{text!r} is no dead letter's id: give PARTITION:SEQUENCE or PARTITION:SEQUENCE:LINE"
            )
        chain = ChainKey(stream, int(found["partition"]), int(found["generation"] or 1))
        return cls(chain, int(found["sequence"]), None if found["line"] is None else int(found["line"]))

    def __str__(self) -> str:
        event = _event_id(self.chain, self.sequence_number)
        return event if self.line is None else f"{event}:{self.line}"


@dataclass(frozen=True, slots=True)
class Selection:
    """The filters of a command: a letter must pass all of them.

    If `named` is not empty, only letters that one of its references names pass.
    """

    stream: str
    named: frozenset[LetterRef] = frozenset()
    partition: int | None = None
    code: str = ""
    since: datetime | None = None

    @classmethod
    def from_settings(cls, settings: DeadLettersSettings) -> Self:
        """Parse the filters.

        Raises NeedsAttention if an id, the reason or the time is invalid, SettingsError if the stream is
        unknown.
        """
        settings.hub()
        ids = [one for one in settings.ids.split(",") if one.strip()]
        named = frozenset(LetterRef.parse(one, settings.stream) for one in ids)
        return cls(
            settings.stream,
            named,
            settings.partition,
            _parse_code(settings.reason),
            _parse_instant(settings.since),
        )

    @property
    def is_narrowed(self) -> bool:
        return bool(self.named or self.partition is not None or self.code or self.since)

    def select_files(self, files: Iterable[DeadLetterFile]) -> list[DeadLetterFile]:
        """Return the files whose events may include a selected letter, by chain and first sequence number."""
        ordered = sorted(files, key=lambda file: (file.chain, file.first, file.attempt))
        if self.partition is not None:
            ordered = [file for file in ordered if file.chain.partition == self.partition]
        if not self.named:
            return ordered
        # Files start where committed ones do: an event is in the last one that does not start after it.
        starts: dict[ChainKey, list[int]] = {}
        for file in ordered:
            starts.setdefault(file.chain, []).append(file.first)
        firsts = set()
        for named in self.named:
            of_chain = starts.get(named.chain, [])
            if before := bisect_right(of_chain, named.sequence_number):
                firsts.add((named.chain, of_chain[before - 1]))
        return [file for file in ordered if (file.chain, file.first) in firsts]

    def may_hold(self, written_at: datetime) -> bool:
        """Return whether a file written at `written_at` may hold a letter that passes the filter `since`.

        A file is written after its letters were enqueued; the clocks of hub and storage may differ by an
        hour.
        """
        return self.since is None or written_at >= self.since - _CLOCKS_APART

    def includes(self, place: Place, letter: Letter) -> bool:
        """Return whether the letter passes every filter."""
        return (
            (not self.named or not self.named.isdisjoint(refs_to(place)))
            and (self.partition is None or place.chain.partition == self.partition)
            and (not self.code or reason_code(letter.reason) == self.code)
            and (self.since is None or letter.enqueued_at >= self.since)
        )


def refs_to(place: Place) -> tuple[LetterRef, LetterRef]:
    """Return both references to a letter: the one to all letters of its event, and the one to its line."""
    return LetterRef(place.chain, place.sequence_number, None), LetterRef(
        place.chain, place.sequence_number, place.line
    )


def _event_id(chain: ChainKey, sequence_number: int) -> str:
    again = f"-g{chain.generation}" if chain.generation > 1 else ""
    return f"{chain.partition}{again}:{sequence_number}"


def _parse_code(text: str) -> str:
    code = text.strip().replace("-", " ").replace("_", " ")
    if code and code not in CODES:
        known = ", ".join(one.replace(" ", "-") for one in CODES)
        raise NeedsAttention(f"--reason {text}: there is no such reason; there are {known}")
    return code


def _parse_instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise NeedsAttention(f"--since {text}: give an RFC 3339 time such as 2026-03-01T12:00:00Z") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
