"""What was replayed, or is being: a numbered record in the lake for every batch of a lane's letters.

`dead-letters/<stream>/_replays/p03-00000007.ndjson` is the intent of a batch: what is sent, and where the
hub's partition stood before. The next number is a function of those that are there, and each is created if
absent: of two operators at once the lake lets one through, and the other sees what that one took on.
`…-00000007.taken-001` says that somebody else goes on with an intent whose own process went silent, and
`…-00000007.done` that the hub has all of it. Nothing here is ever deleted.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self
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
    """What is sent for a dead letter; `id` goes along with it."""

    id: DeadLetterId
    content_type: str | None
    body: bytes


class Lease(Struct, frozen=True):
    """Whose an intent is, and for how long: after `lease_s` that process no longer sends any of it."""

    attempt: str
    begun_at: datetime
    lease_s: float

    @classmethod
    def new(cls, lease_s: float) -> Self:
        return cls(uuid4().hex, datetime.now(UTC), lease_s)


class Header(Struct, frozen=True):
    """An intent's first line; `position` is the hub partition's last sequence number before the send."""

    lease: Lease
    hub: str
    hub_created_at: str
    position: int


@dataclass(frozen=True, slots=True)
class Intent:
    """A batch that somebody set out to send."""

    header: Header
    replacements: Sequence[Replacement]

    def encoded(self) -> bytes:
        return b"".join(msgspec.json.encode(line) + b"\n" for line in (self.header, *self.replacements))


@dataclass(slots=True)
class Entry:
    """One number of the log: an intent, how often it was taken over, and whether it is done."""

    number: int
    takeovers: int = 0
    is_done: bool = False


@dataclass(slots=True)
class ReplayLog:
    """The log of one lane, as it was when it was read."""

    lake: Lake
    lane: ChainKey
    entries: dict[int, Entry] = field(default_factory=dict)

    async def read(self) -> None:
        """Look at what there is now."""
        self.entries = {}
        async for file in self.lake.list(_folder(self.lane.stream), recursive=False):
            name = file.path.rpartition("/")[2]
            found = _NAME.fullmatch(name)
            if found is None or not name.startswith(f"{self.lane.label}-{found['number']}."):
                continue
            entry = self.entries.setdefault(int(found["number"]), Entry(int(found["number"])))
            entry.is_done = entry.is_done or found["done"] is not None
            entry.takeovers = max(entry.takeovers, int(found["taken"] or 0))

    @property
    def open_entries(self) -> list[Entry]:
        """Those not known to be done, oldest first."""
        return [entry for _, entry in sorted(self.entries.items()) if not entry.is_done]

    async def states(self) -> dict[DeadLetterId, bool]:
        """Letter → whether the hub is known to have its replay."""
        return {
            one.id: entry.is_done
            for number, entry in sorted(self.entries.items())
            for one in (await self.intent(number)).replacements
        }

    async def intent(self, number: int) -> Intent:
        """Raises NeedsAttention where there is none to be read."""
        path = self._path(number, "ndjson")
        lines = (await self.lake.read(path) or b"").splitlines()
        try:
            header = msgspec.json.decode(lines[0], type=Header)
            return Intent(header, [msgspec.json.decode(line, type=Replacement) for line in lines[1:]])
        except (IndexError, msgspec.MsgspecError) as error:
            raise NeedsAttention(
                f"{path} is no record of a replay ({error}): restore or move it away"
            ) from error

    async def intend(self, intent: Intent) -> int | None:
        """Take the next number for an intent; None where somebody else was first: read again."""
        number = max(self.entries, default=-1) + 1
        won = await self._claim(self._path(number, "ndjson"), intent.encoded())
        return number if won else None

    async def lease(self, entry: Entry) -> Lease:
        """Whose the intent is now."""
        if not entry.takeovers:
            return (await self.intent(entry.number)).header.lease
        path = self._path(entry.number, f"taken-{entry.takeovers:03d}")
        try:
            return msgspec.json.decode(await self.lake.read(path) or b"", type=Lease)
        except msgspec.MsgspecError as error:
            raise NeedsAttention(f"{path} is no record of a replay ({error}): restore it") from error

    async def take_over(self, entry: Entry, lease: Lease) -> bool:
        """Go on with somebody else's intent; False where yet another was first."""
        path = self._path(entry.number, f"taken-{entry.takeovers + 1:03d}")
        return await self._claim(path, msgspec.json.encode(lease))

    async def finish(self, number: int) -> None:
        """Say that the hub has all of it."""
        await self.lake.write(self._path(number, "done"), f"{datetime.now(UTC).isoformat()}\n".encode())

    def _path(self, number: int, kind: str) -> str:
        return f"{_folder(self.lane.stream)}/{self.lane.label}-{number:08d}.{kind}"

    async def _claim(self, path: str, data: bytes) -> bool:
        """Create a file that is ours alone; what stands there tells, whatever was answered."""
        try:
            if await self.lake.create_if_absent(path, data):
                return True
        except SinkUnavailable:
            if (standing := await self.lake.read(path)) is None:
                raise
            return standing == data
        return await self.lake.read(path) == data


def _folder(stream: str) -> str:
    return f"{dead_letters_folder(stream)}/_replays"
