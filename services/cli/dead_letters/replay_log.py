"""The log of replays: numbered files in the lake, one number for every batch of a chain's dead letters.

`dead-letters/<stream>/_replays/p03-00000007.ndjson` is the intent of a batch: the events to send, and the
position of the hub's partition before the send. A new intent gets the number after the highest existing one,
and its file is created only if absent. If two operators replay at once, the lake accepts one of the two
intents, and the other operator's process reads it.

`…-00000007.taken-001` marks an intent that another process took over because the intent's owner did not
finish it in time. `…-00000007.done` marks an intent that is completely in the hub. No file of the log is ever
deleted.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from uuid import uuid4

import msgspec
from msgspec import Struct

from shared.contract.dead_letter_id import DeadLetterId
from shared.lake.client import Lake
from shared.lake.slots.slot import ChainKey, dead_letters_folder
from shared.service.errors import NeedsAttention, SinkUnavailable

_NAME = re.compile(
    r"p\d{2,}(?:-g\d+)?-(?P<number>\d{8})\.(?:(?P<intent>ndjson)|(?P<done>done)|taken-(?P<taken>\d{3}))"
)


class Replacement(Struct, frozen=True):
    """The event that is sent for a dead letter; the event carries the `id` of the dead letter.

    `properties` are the application properties of the letter's event, as values of JSON.
    """

    id: DeadLetterId
    content_type: str | None
    body: bytes
    content_encoding: str | None = None
    properties: Mapping[str, Any] | None = None

    @property
    def size_bytes(self) -> int:
        """The size of the body and of the application properties in JSON."""
        return len(self.body) + (len(msgspec.json.encode(self.properties)) if self.properties else 0)


class Lease(Struct, frozen=True):
    """The right of one process to send an intent; the process sends nothing after `lease_s` seconds."""

    attempt: str
    begun_at: datetime
    lease_s: float

    @classmethod
    def new(cls, lease_s: float) -> Self:
        return cls(uuid4().hex, datetime.now(UTC), lease_s)


class Header(Struct, frozen=True):
    """The first line of an intent's file.

    `position` is the last sequence number of the hub's partition before the send.
    """

    lease: Lease
    hub: str
    hub_created_at: str
    position: int


@dataclass(frozen=True, slots=True)
class Intent:
    """A batch that a process intends to send, written to the lake before the send."""

    header: Header
    replacements: Sequence[Replacement]

    def encode(self) -> bytes:
        return b"".join(msgspec.json.encode(line) + b"\n" for line in (self.header, *self.replacements))


@dataclass(slots=True)
class Entry:
    """A number of the log: how often the intent was taken over, and whether the intent is done."""

    number: int
    takeovers: int = 0
    is_done: bool = False


@dataclass(slots=True)
class ReplayLog:
    """The log of one chain; `entries` is the state at the last `read`."""

    lake: Lake
    chain: ChainKey
    entries: dict[int, Entry] = field(default_factory=dict)

    async def read(self) -> None:
        """Set `entries`, by number, from the files of this chain in the lake."""
        self.entries = {}
        async for file in self.lake.list(_folder(self.chain.stream), recursive=False):
            name = file.path.rpartition("/")[2]
            found = _NAME.fullmatch(name)
            if found is None or not name.startswith(f"{self.chain.label}-{found['number']}."):
                continue
            entry = self.entries.setdefault(int(found["number"]), Entry(int(found["number"])))
            entry.is_done = entry.is_done or found["done"] is not None
            entry.takeovers = max(entry.takeovers, int(found["taken"] or 0))

    @property
    def open_entries(self) -> list[Entry]:
        """Return the entries that are not done, oldest first."""
        return [entry for _, entry in sorted(self.entries.items()) if not entry.is_done]

    async def read_states(self) -> dict[DeadLetterId, bool]:
        """Return, for each letter that is in an intent, whether its replay is done."""
        return {
            one.id: entry.is_done
            for number, entry in sorted(self.entries.items())
            for one in (await self.read_intent(number)).replacements
        }

    async def read_intent(self, number: int) -> Intent:
        """Read an intent. Raises NeedsAttention if the intent's file is missing or damaged."""
        path = self._path(number, "ndjson")
        lines = (await self.lake.read(path) or b"").splitlines()
        try:
            header = msgspec.json.decode(lines[0], type=Header)
            return Intent(header, [msgspec.json.decode(line, type=Replacement) for line in lines[1:]])
        except (IndexError, msgspec.MsgspecError) as error:
            raise NeedsAttention(
                f"{path} is no record of a replay ({error}): restore or move it away"
            ) from error

    async def write_intent(self, intent: Intent) -> int | None:
        """Write an intent under the next number, and return the number.

        Return None if another process took the number first; then the log must be read again.
        """
        number = max(self.entries, default=-1) + 1
        won = await self._claim(self._path(number, "ndjson"), intent.encode())
        return number if won else None

    async def read_lease(self, entry: Entry) -> Lease:
        """Return the lease of the process that wrote the intent or was the last to take it over."""
        if not entry.takeovers:
            return (await self.read_intent(entry.number)).header.lease
        path = self._path(entry.number, f"taken-{entry.takeovers:03d}")
        try:
            return msgspec.json.decode(await self.lake.read(path) or b"", type=Lease)
        except msgspec.MsgspecError as error:
            raise NeedsAttention(f"{path} is no record of a replay ({error}): restore it") from error

    async def take_over(self, entry: Entry, lease: Lease) -> bool:
        """Take over an intent. Return False if another process took it over first."""
        path = self._path(entry.number, f"taken-{entry.takeovers + 1:03d}")
        return await self._claim(path, msgspec.json.encode(lease))

    async def finish(self, number: int) -> None:
        """Mark an intent as done: all of its letters are in the hub."""
        await self.lake.write(self._path(number, "done"), f"{datetime.now(UTC).isoformat()}\n".encode())

    def _path(self, number: int, kind: str) -> str:
        return f"{_folder(self.chain.stream)}/{self.chain.label}-{number:08d}.{kind}"

    async def _claim(self, path: str, data: bytes) -> bool:
        """Create a file if it is absent. Return whether the file now has this content.

        The result is also right if the lake created the file, but its answer was lost.
        """
        try:
            if await self.lake.create_if_absent(path, data):
                return True
        except SinkUnavailable:
            if (standing := await self.lake.read(path)) is None:
                raise
            return standing == data
        return await self.lake.read(path) == data


class ReplayStates:
    """The replay states of dead letters. The log of each chain is read once, and its states are kept."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._by_chain: dict[ChainKey, dict[DeadLetterId, bool]] = {}

    async def is_done(self, chain: ChainKey, letter: DeadLetterId) -> bool | None:
        """Return whether the letter's replay is done; None if no replay was begun."""
        if chain not in self._by_chain:
            log = ReplayLog(self._lake, chain)
            await log.read()
            self._by_chain[chain] = await log.read_states()
        return self._by_chain[chain].get(letter)


def _folder(stream: str) -> str:
    return f"{dead_letters_folder(stream)}/_replays"
