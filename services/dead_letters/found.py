"""The dead letters that count, read from the lake: those in files that a committed file's footer names."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from services.dead_letters.selection import Place, Selection
from shared.dead_letters.letter import Letter
from shared.dead_letters.replayed import DeadLetterId
from shared.errors import NeedsAttention
from shared.lake import Lake
from shared.slot_chain.search import SlotSearch
from shared.slot_chain.slot import HOUR_US, LetterFile, letters_folder, letters_in

# Files on their way while one is dealt with; each holds at most what one raw file's range was cut at.
_FILES_AHEAD = 3
_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """A dead letter that counts; `created_at` is its hub's."""

    place: Place
    created_at: str
    letter: Letter
    path: str

    @property
    def id(self) -> DeadLetterId:
        return DeadLetterId(
            self.created_at, self.place.lane.partition, self.place.sequence_number, self.place.line
        )


async def dead_letters(lake: Lake, selection: Selection) -> AsyncIterator[Found]:
    """Those that are meant, by partition, in sequence; a few files are in memory at a time."""
    search = SlotSearch(lake, selection.stream)
    ahead: deque[asyncio.Task[list[Found]]] = deque()
    try:
        for file in selection.files(await _listed(lake, selection.stream)):
            ahead.append(asyncio.create_task(_read(lake, search, file, selection)))
            if len(ahead) > _FILES_AHEAD:
                for found in await ahead.popleft():
                    yield found
        while ahead:
            for found in await ahead.popleft():
                yield found
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)


async def _listed(lake: Lake, stream: str) -> list[LetterFile]:
    names = [
        file.path.rpartition("/")[2] async for file in lake.list(letters_folder(stream), recursive=False)
    ]
    return [file for name in names if (file := letters_in(stream, name)) is not None]


async def _read(lake: Lake, search: SlotSearch, file: LetterFile, selection: Selection) -> list[Found]:
    """The letters of a file that are meant; none of a file that no footer names."""
    try:
        letters = msgspec.json.Decoder(Letter).decode_lines(await lake.read(file.path) or b"")
    except msgspec.MsgspecError as error:
        raise NeedsAttention(f"{file.path} cannot be read ({error}): restore it or move it away") from error
    places = [Place(file.lane, letter.sequence_number, letter.line) for letter in letters]
    meant = [
        (place, letter)
        for place, letter in zip(places, letters, strict=True)
        if selection.takes(place, letter)
    ]
    if not meant:
        return []
    hour = int(letters[0].enqueued_at.timestamp()) * _US_PER_S // HOUR_US
    footer = await search.find(file.lane, file.first, hour)
    if footer is None or footer.dead_letter != file.path:
        return []  # a commit that was broken off left it
    return [Found(place, footer.created_at, letter, file.path) for place, letter in meant]
