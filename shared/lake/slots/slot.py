"""Where a file of the raw zone stands (pure).

The path of a partition's next file is a function of its committed files alone, so every writer, zombie or
new, aims at the same path, and one atomic rename-if-absent decides. An hour is counted in whole hours since
the epoch; along one partition's chain it never goes back, whatever the hub's clock does.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

HOUR_US = 3_600 * 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FOLDER = re.compile(r"date=(\d{4}-\d{2}-\d{2})/hour=(\d{2})")
_LABEL = r"p(?P<partition>\d{2,})(?:-g(?P<generation>\d+))?"
_SLOT = re.compile(rf"{_LABEL}-(?P<first>\d{{20}})\.parquet")
_ROOT = re.compile(rf"{_LABEL}\.json")
_LETTERS = re.compile(rf"{_LABEL}-(?P<first>\d{{20}})-(?P<attempt>[0-9a-z]+)\.ndjson")
_STAGED = re.compile(rf"{_LABEL}-(?P<first>\d{{20}})-(?P<hour>\d+)-(?P<attempt>[0-9a-z]+)\.parquet")


def hour_folder(hour: int) -> str:
    """`date=YYYY-MM-DD/hour=HH`, UTC."""
    return (_EPOCH + timedelta(hours=hour)).strftime("date=%Y-%m-%d/hour=%H")


def parse_hour_folder(folder: str) -> int:
    """The inverse of `folder_of`; raises ValueError for any other text."""
    found = _FOLDER.fullmatch(folder)
    if found is None:
        raise ValueError(f"{folder!r} is not date=YYYY-MM-DD/hour=HH")
    midnight = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    return (midnight - _EPOCH).days * 24 + int(found[2])


@dataclass(frozen=True, slots=True, order=True)
class ChainKey:
    """One partition's chain: a stream, a partition, and which of the hubs of that name (from 1) fills it."""

    stream: str
    partition: int
    generation: int = 1

    @property
    def label(self) -> str:
        again = f"-g{self.generation}" if self.generation > 1 else ""
        return f"p{self.partition:02d}{again}"

    @property
    def root(self) -> str:
        return f"{roots_folder(self.stream)}/{self.label}.json"

    def slot(self, hour: int, first: int) -> str:
        """The path of the file that starts at sequence number `first`."""
        return f"raw/{self.stream}/{hour_folder(hour)}/{self.label}-{first:020d}.parquet"

    def staged(self, hour: int, first: int, attempt: str) -> str:
        """Where an attempt at a slot is written before the rename; the name says which slot."""
        return f"{staging_folder(self.stream)}/{self.label}-{first:020d}-{hour}-{attempt}.parquet"

    def dead_letters(self, first: int, attempt: str) -> str:
        return f"{dead_letters_folder(self.stream)}/{self.label}-{first:020d}-{attempt}.ndjson"


@dataclass(frozen=True, slots=True)
class DeadLetterFile:
    """What the name of a file of dead letters says."""

    lane: ChainKey
    first: int
    attempt: str

    @property
    def path(self) -> str:
        return self.lane.dead_letters(self.first, self.attempt)


@dataclass(frozen=True, slots=True)
class StagedFile:
    """What the name of a staged file says."""

    lane: ChainKey
    hour: int
    first: int
    attempt: str


def roots_folder(stream: str) -> str:
    return f"raw/{stream}/_chain"


def staging_folder(stream: str) -> str:
    return f"_staging/raw/{stream}"


def dead_letters_folder(stream: str) -> str:
    return f"dead-letters/{stream}"


def parse_slot_name(stream: str, name: str) -> tuple[ChainKey, int] | None:
    """Lane and first sequence number of a raw file's name; None for a file that is not ours."""
    found = _SLOT.fullmatch(name)
    return (_chain_key(stream, found), int(found["first"])) if found else None


def parse_root_name(stream: str, name: str) -> ChainKey | None:
    """The lane of a root file's name; None for a file that is not ours."""
    found = _ROOT.fullmatch(name)
    return _chain_key(stream, found) if found else None


def parse_staged_name(stream: str, name: str) -> StagedFile | None:
    """What a staged file's name says; None for a file that is not ours."""
    found = _STAGED.fullmatch(name)
    if found is None:
        return None
    return StagedFile(_chain_key(stream, found), int(found["hour"]), int(found["first"]), found["attempt"])


def parse_dead_letter_name(stream: str, name: str) -> DeadLetterFile | None:
    """What the name of a file of dead letters says; None for a file that is not ours."""
    found = _LETTERS.fullmatch(name)
    return DeadLetterFile(_chain_key(stream, found), int(found["first"]), found["attempt"]) if found else None


def _chain_key(stream: str, found: re.Match[str]) -> ChainKey:
    return ChainKey(stream, int(found["partition"]), int(found["generation"] or 1))
