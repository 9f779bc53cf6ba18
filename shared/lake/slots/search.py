"""Search for the committed file that starts at a given event, if only the event's earliest hour is known."""

from shared.lake.client import Lake
from shared.lake.slots.chain import list_dated_folders, read_footer
from shared.lake.slots.footer import Footer
from shared.lake.slots.slot import ChainKey, parse_hour_folder


class SlotSearch:
    """A search for files of one stream.

    A file is in the folder of its events' hour, or in a later folder if the hub's clock went back before
    these events.
    """

    def __init__(self, lake: Lake, stream: str) -> None:
        self._lake = lake
        self._stream = stream
        self._hours: list[int] | None = None

    async def find(self, chain: ChainKey, first: int, earliest_hour: int) -> Footer | None:
        """Return the footer of the file that starts with event `first`, or None if there is no such file.

        A file without events is ignored: it only moves the chain to another folder.
        """
        footer = await self._read_footer(chain, first, earliest_hour)
        if footer is not None:
            return footer
        for hour in await self._list_later_hours(earliest_hour):
            if (footer := await self._read_footer(chain, first, hour)) is not None:
                return footer
        return None

    async def _read_footer(self, chain: ChainKey, first: int, hour: int) -> Footer | None:
        footer = await read_footer(self._lake, chain.slot(hour, first))
        return footer if footer is not None and footer.next_first > first else None

    async def _list_later_hours(self, hour: int) -> list[int]:
        if self._hours is None:
            root = f"raw/{self._stream}"
            dates = await list_dated_folders(self._lake, root)
            folders = [folder for date in dates for folder in await list_dated_folders(self._lake, date)]
            self._hours = sorted(parse_hour_folder(folder.removeprefix(f"{root}/")) for folder in folders)
        return [one for one in self._hours if one > hour]
