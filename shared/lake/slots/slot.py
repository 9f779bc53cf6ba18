"""Paths of the raw zone's files. No I/O.

The path of a partition's next file depends only on the partition's committed files. So all writers, old
(zombie) and new, aim at the same path, and one atomic rename-if-absent decides which of them wins. Hours are
whole hours since the epoch; along one partition's chain they never go back, whatever the hub's clock does.
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
    """Return the folder of an hour, `date=YYYY-MM-DD/hour=HH` in UTC."""
    return (_EPOCH + timedelta(hours=hour)).strftime("date=%Y-%m-%d/hour=%H")


def parse_hour_folder(folder: str) -> int:
    """Return the hour of a folder. Raises ValueError if `folder` is not `date=YYYY-MM-DD/hour=HH`."""
    found = _FOLDER.fullmatch(folder)
    if found is None:
        raise ValueError(f"{folder!r} is not date=YYYY-MM-DD/hour=HH")
    midnight = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    return (midnight - _EPOCH).days * 24 + int(found[2])


@dataclass(frozen=True, slots=True, order=True)
class ChainKey:
    """The identity of a chain: its stream, its partition, and the generation of its hub (1, 2, …)."""

    stream: str
    partition: int
    generation: int = 1

    @property
    def label(self) -> str:
        suffix = f"-g{self.generation}" if self.generation > 1 else ""
        return f"p{self.partition:02d}{suffix}"

    @property
    def root(self) -> str:
        return f"{roots_folder(self.stream)}/{self.label}.json"

    def slot(self, hour: int, first: int) -> str:
        """Return the path of the file in the folder of `hour` that starts at sequence number `first`."""
        return f"raw/{self.stream}/{hour_folder(hour)}/{self.label}-{first:020d}.parquet"

    def staged(self, hour: int, first: int, attempt: str) -> str:
        """Return the staging path of one attempt to write a slot; the file name identifies the slot."""
        return f"{staging_folder(self.stream)}/{self.label}-{first:020d}-{hour}-{attempt}.parquet"

    def dead_letters(self, first: int, attempt: str) -> str:
        return f"{dead_letters_folder(self.stream)}/{self.label}-{first:020d}-{attempt}.ndjson"


@dataclass(frozen=True, slots=True)
class DeadLetterFile:
    """The parsed name of a dead-letter file: one attempt at the slot that starts at `first`."""

    chain: ChainKey
    first: int
    attempt: str

    @property
    def path(self) -> str:
        return self.chain.dead_letters(self.first, self.attempt)


@dataclass(frozen=True, slots=True)
class StagedFile:
    """The parsed name of a staged file: one attempt at a slot."""

    chain: ChainKey
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
    """Parse the name of a raw file into its chain and first sequence number.

    Return None if `name` is not the name of a raw file.
    """
    found = _SLOT.fullmatch(name)
    return (_chain_key(stream, found), int(found["first"])) if found else None


def parse_root_name(stream: str, name: str) -> ChainKey | None:
    """Parse the name of a root file into its chain. Return None if `name` has another form."""
    found = _ROOT.fullmatch(name)
    return _chain_key(stream, found) if found else None


def parse_staged_name(stream: str, name: str) -> StagedFile | None:
    """Parse the name of a staged file. Return None if `name` has another form."""
    found = _STAGED.fullmatch(name)
    if found is None:
        return None
    return StagedFile(_chain_key(stream, found), int(found["hour"]), int(found["first"]), found["attempt"])


def parse_dead_letter_name(stream: str, name: str) -> DeadLetterFile | None:
    """Parse the name of a dead-letter file. Return None if `name` has another form."""
    found = _LETTERS.fullmatch(name)
    return DeadLetterFile(_chain_key(stream, found), int(found["first"]), found["attempt"]) if found else None


def _chain_key(stream: str, found: re.Match[str]) -> ChainKey:
    return ChainKey(stream, int(found["partition"]), int(found["generation"] or 1))
