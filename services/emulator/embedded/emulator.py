"""The emulator inside a test's process, on free ports and in a separate thread."""

import shutil
import tempfile
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from services.emulator.embedded.event_hubs import EventHubs
from services.emulator.embedded.loop_thread import LoopThread
from services.emulator.embedded.servers import Servers, serve
from services.emulator.embedded.storage import AzureStorage
from services.emulator.event_hubs.config_file import read_config


class Emulator:
    """Event Hubs and storage. `with Emulator() as emulator:` serves until the end of the block.

    Every method may be called from sync and async code, from any thread.
    `data` is a folder that is kept for later runs; if omitted, a temporary folder is used and then deleted.
    `config` is a Config.json of Microsoft's emulator. With `tls` both services serve TLS too, with a
    certificate signed by `ca`. Programs that sign in with DefaultAzureCredential can then be tested: give
    them the variables in `environment`.
    """

    def __init__(
        self, data: Path | str | None = None, *, config: Path | str | None = None, tls: bool = False
    ) -> None:
        self._config = None if config is None else Path(config)
        self._with_tls = tls
        self._is_temporary = data is None
        self._data = None if data is None else Path(data)
        self.data: Path
        self.event_hubs: EventHubs
        self.storage: AzureStorage
        self.admin_url: str
        self.ca: Path | None

    def __enter__(self) -> Self:
        """Start the emulator. Raises NeedsAttention if the data or the Config.json is unusable."""
        declared = () if self._config is None else read_config(self._config)
        self.data = self._data or Path(tempfile.mkdtemp(prefix="fleetprice-emulator-"))
        self._thread = LoopThread(
            "fleetprice-emulator", partial(serve, self.data, declared, with_tls=self._with_tls)
        )
        try:
            servers = self._thread.start()
        except BaseException:
            self._remove_data()
            raise
        self._expose(servers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._thread.stop()
        finally:
            self._remove_data()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables by which a program gets the emulator's tokens (docs/emulator-identity.md)."""
        return {
            "IDENTITY_ENDPOINT": self._issuer.endpoint,
            "IDENTITY_HEADER": self._issuer.header,
            **({"SSL_CERT_FILE": str(self.ca), "REQUESTS_CA_BUNDLE": str(self.ca)} if self.ca else {}),
        }

    def _expose(self, servers: Servers) -> None:
        tls = servers.secured.event_hubs.connection_string if servers.secured else None
        self.event_hubs = EventHubs(servers.event_hubs, self._thread, tls)
        self.storage = AzureStorage(servers.storage, self.data, self._thread, has_tls=self._with_tls)
        self.admin_url = servers.admin.url
        self.ca = servers.secured.certificate.ca if servers.secured else None
        self._issuer = servers.issuer

    def _remove_data(self) -> None:
        if self._is_temporary:
            shutil.rmtree(self.data)
