"""The emulator's storage account for tests, usable from any thread."""

from pathlib import Path
from typing import Any

from services.emulator.embedded.faults import Faults
from services.emulator.embedded.loop_thread import LoopThread
from services.emulator.storage.auth.well_known import WELL_KNOWN_ACCOUNT, WELL_KNOWN_KEY
from services.emulator.storage.faults import Fault
from services.emulator.storage.server import StorageServer


class AzureStorage:
    """The storage account, as Blob storage and Data Lake Gen2.

    File system `lake` and container `checkpoints` exist from the start. `files` is the folder with one
    subfolder per container, in which each file has its own name. `account_url` uses https if the emulator
    serves TLS; `connection_string` always uses http.
    """

    def __init__(
        self, server: StorageServer, data: Path, thread: LoopThread[Any], *, has_tls: bool = False
    ) -> None:
        self.connection_string = server.connection_string
        self.account_name = WELL_KNOWN_ACCOUNT
        self.account_key = WELL_KNOWN_KEY
        self.account_url = f"http{'s' * has_tls}://{server.host}:{server.port}/{WELL_KNOWN_ACCOUNT}"
        self.files = data / "storage" / WELL_KNOWN_ACCOUNT
        self.faults = Faults(server.faults, Fault, thread)
