"""The follower of the champion pointer.

When the pointer names another version, the follower loads and checks it while the old version keeps serving,
then swaps it in.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from prometheus_client import Counter, Gauge

from shared.lake.client import Lake, Snapshot
from shared.registry.active_model import ActiveModel, Versioned
from shared.registry.champion import decode_champion
from shared.registry.layout import champion_path
from shared.registry.store import read_version
from shared.service.errors import ModelUnusable, SettingsError, SinkUnavailable
from shared.service.logs import log

SWAPS = Counter("fleetprice_registry_model_swaps_total", "Versions swapped in while serving", ["model"])
REFUSALS = Counter("fleetprice_registry_model_refusals_total", "Champions refused while serving", ["model"])
REFUSED = Gauge(
    "fleetprice_registry_champion_refused",
    "1 while the pointer names a version that was refused, so that the one before it serves on",
    ["model"],
)

P = TypeVar("P", bound=Versioned)
Load = Callable[[Mapping[str, bytes]], P]

# Raised by the libraries that read the files of a version, if a file is not what it should be.
UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, MemoryError)


class ChampionFollower(Generic[P]):
    """A poller of the champion pointer of model `name`.

    It keeps `served` at the version that the pointer names.
    """

    def __init__(
        self, lake: Lake, name: str, served: ActiveModel[P], load: Load[P], interval_s: float
    ) -> None:
        """Make the follower.

        `load` makes a pricer from a version's files. It runs in a thread.
        """
        self._lake = lake
        self._name = name
        self._served = served
        self._load = load
        self._interval_s = interval_s
        self._followed_etag: str | None = None
        self._empty_etag: str | None = None
        self._is_unreachable = False
        REFUSED.labels(name).set(0)

    async def run(self) -> None:
        """Check the pointer every `interval_s` seconds, for ever."""
        while True:
            await self.check()
            await asyncio.sleep(self._interval_s)

    async def check(self) -> None:
        """Check the pointer once.

        If the lake cannot be reached while the pointer or the version is read, the next check tries again.
        """
        try:
            pointer = await self._lake.read_if_changed(champion_path(self._name), self._followed_etag)
            if pointer is not None and not self._is_being_written(pointer):
                await self._follow(pointer)
                self._followed_etag = pointer.etag
        except (SinkUnavailable, SettingsError) as error:
            if not self._is_unreachable:
                log.warning("registry_unreachable", model=self._name, reason=str(error))
            self._is_unreachable = True
        else:
            self._is_unreachable = False

    def _is_being_written(self, pointer: Snapshot) -> bool:
        """Return True if the pointer is empty and this empty file is seen for the first time.

        A file in the lake is empty between its creation and its first flush. A pointer that is still empty at
        the next check is broken.
        """
        is_new = not pointer.data and pointer.etag != self._empty_etag
        self._empty_etag = pointer.etag
        return is_new

    async def _follow(self, pointer: Snapshot) -> None:
        """Swap in the version that the pointer names, or log and count its refusal if it is unusable.

        A version is refused only once for each time that the pointer is written.
        """
        started_s = time.monotonic()
        before = self._served.pricer.manifest.version
        version = None
        try:
            version = decode_champion(pointer.data).version
            if version != before:
                self._served.replace(await self._load_version(version))
        except ModelUnusable as error:
            REFUSALS.labels(self._name).inc()
            REFUSED.labels(self._name).set(1)
            log.error("model_refused", model=self._name, version=version, serving=before, reason=str(error))
            return
        REFUSED.labels(self._name).set(0)
        if version != before:
            SWAPS.labels(self._name).inc()
            took_s = round(time.monotonic() - started_s, 3)
            log.info("model_swapped", model=self._name, version=version, before=before, took_s=took_s)

    async def _load_version(self, version: str) -> P:
        files = await read_version(self._lake, version, self._name)
        try:
            return await asyncio.to_thread(self._load, files)
        except UNREADABLE as error:
            raise ModelUnusable(f"version {version} cannot be loaded: {error!r}") from error
