"""Finds dead letters in the lake. Files that no footer of a committed raw file names are ignored."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import msgspec

from services.cli.dead_letters.selection import Place, Selection
from shared.contract.dead_letter_id import DeadLetterId
from shared.lake.client import Lake
from shared.lake.dead_letters import Letter
from shared.lake.slots.search import SlotSearch
from shared.lake.slots.slot import HOUR_US, DeadLetterFile, dead_letters_folder, parse_dead_letter_name
from shared.service.errors import NeedsAttention, SettingsError

# Files that are fetched ahead: most are small, and the requests take the time.
_FILES_AHEAD, _BYTES_AHEAD = 16, 64 * 2**20
_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter in a file that a footer names; `created_at` is the creation time of its hub."""

    place: Place
    created_at: str
    letter: Letter
    path: str

    @property
    def id(self) -> DeadLetterId:
        return DeadLetterId(
            self.created_at, self.place.chain.partition, self.place.sequence_number, self.place.line
        )


async def find_dead_letters(
    lake: Lake, selection: Selection, unreadable: list[str]
) -> AsyncIterator[StoredLetter]:
    """Yield the selected letters, by partition and sequence number.

    At most 16 files, of 64 MiB together (or one larger file), are read ahead. For each file that cannot be
    read, a sentence is added to `unreadable`; the letters of the other files are yielded all the same.
    """
    search = SlotSearch(lake, selection.stream)
    listed = await _list_files(lake, selection)
    ahead: deque[tuple[asyncio.Task[list[StoredLetter]], int]] = deque()
    ahead_bytes = 0
    try:
        for file in selection.select_files(listed):
            size_bytes = listed[file]
            while ahead and (len(ahead) == _FILES_AHEAD or ahead_bytes + size_bytes > _BYTES_AHEAD):
                reading, read_bytes = ahead.popleft()
                for found in await _take(reading, unreadable):
                    yield found
                ahead_bytes -= read_bytes
            ahead.append((asyncio.create_task(_read(lake, search, file, selection)), size_bytes))
            ahead_bytes += size_bytes
        while ahead:
            for found in await _take(ahead.popleft()[0], unreadable):
                yield found
    finally:
        for reading, _ in ahead:
            reading.cancel()
        await asyncio.gather(*(reading for reading, _ in ahead), return_exceptions=True)


async def _take(reading: asyncio.Task[list[StoredLetter]], unreadable: list[str]) -> list[StoredLetter]:
    try:
        return await reading
    except SettingsError:
        raise  # the storage refused this process, whatever the file
    except NeedsAttention as error:
        unreadable.append(str(error))
        return []


def refuse_unreadable(unreadable: Sequence[str]) -> None:
    """Raise NeedsAttention with these sentences if there are any."""
    if unreadable:
        raise NeedsAttention("; ".join(unreadable))


async def _list_files(lake: Lake, selection: Selection) -> dict[DeadLetterFile, int]:
    """Return the size of each dead-letter file that was written late enough to hold a selected letter."""
    listed = {}
    async for entry in lake.list(dead_letters_folder(selection.stream), recursive=False):
        file = parse_dead_letter_name(selection.stream, entry.path.rpartition("/")[2])
        if file is not None and selection.may_hold(entry.modified_at):
            listed[file] = entry.size_bytes
    return listed


async def _read(
    lake: Lake, search: SlotSearch, file: DeadLetterFile, selection: Selection
) -> list[StoredLetter]:
    """Read the selected letters of a file; none if no footer names the file.

    An interrupted commit leaves such a file. Raises NeedsAttention if the file cannot be decoded.
    """
    try:
        letters = msgspec.json.Decoder(Letter).decode_lines(await lake.read(file.path) or b"")
    except msgspec.MsgspecError as error:
        raise NeedsAttention(f"{file.path} cannot be read ({error}): restore it or move it away") from error
    places = [Place(file.chain, letter.sequence_number, letter.line) for letter in letters]
    selected = [
        (place, letter)
        for place, letter in zip(places, letters, strict=True)
        if selection.includes(place, letter)
    ]
    if not selected:
        return []
    hour = int(letters[0].enqueued_at.timestamp()) * _US_PER_S // HOUR_US
    footer = await search.find(file.chain, file.first, hour)
    if footer is None or footer.dead_letter != file.path:
        return []  # an interrupted commit left it
    return [StoredLetter(place, footer.created_at, letter, file.path) for place, letter in selected]
