"""The emulator inside this process, for tests: on free ports, in a thread of its own."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from services.emulator.admin import AdminServer
from services.emulator.config import read_config
from services.emulator.embedded.event_hubs import EventHubs
from services.emulator.embedded.loop_thread import LoopThread
from services.emulator.embedded.storage import AzureStorage
from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.storage.server import StorageServer


class _Servers(NamedTuple):
    event_hubs: EventHubsServer
    storage: StorageServer
    admin: AdminServer


class Emulator:
    """Event Hubs and storage: `with Emulator() as emulator:` serves until the end of the block.

    For any thread and any event loop, or none: every method may be called from sync and async code alike.
    `data` keeps everything for a next time; without it a folder is made and removed at the end. `config` is a
    Config.json of Microsoft's emulator. Raises NeedsAttention where one of the two will not do.
    """

    def __init__(self, data: Path | str | None = None, *, config: Path | str | None = None) -> None:
        self._config = None if config is None else Path(config)
        self._is_temporary = data is None
        self._data = None if data is None else Path(data)
        self.data: Path
        self.event_hubs: EventHubs
        self.storage: AzureStorage
        self.admin_url: str

    def __enter__(self) -> Self:
        declared = () if self._config is None else read_config(self._config)
        self.data = self._data or Path(tempfile.mkdtemp(prefix="fleetprice-emulator-"))

        @asynccontextmanager
        async def served() -> AsyncIterator[_Servers]:
            async with (
                EventHubsServer(self.data, hubs=declared) as event_hubs,
                StorageServer(self.data) as storage,
                AdminServer(event_hubs, storage) as admin,
            ):
                yield _Servers(event_hubs, storage, admin)

        self._thread = LoopThread("fleetprice-emulator", served)
        try:
            servers = self._thread.start()
        except BaseException:
            self._remove_data()
            raise
        self.event_hubs = EventHubs(servers.event_hubs, self._thread)
        self.storage = AzureStorage(servers.storage, self.data, self._thread)
        self.admin_url = servers.admin.url
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._thread.stop()
        finally:
            self._remove_data()

    def _remove_data(self) -> None:
        if self._is_temporary:
            shutil.rmtree(self.data)
