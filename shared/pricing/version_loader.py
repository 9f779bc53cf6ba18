"""Loading of former versions of the price model, to finish events that they have priced in part."""

import asyncio

from shared.lake.client import Lake
from shared.pricing.pricer import Pricer
from shared.registry.champion_follower import UNREADABLE
from shared.registry.layout import PRICE
from shared.registry.store import read_shipped, read_version
from shared.service.errors import ModelUnusable, SettingsError, SinkUnavailable
from shared.service.logs import log


class VersionLoader:
    """A loader of former versions of the price model.

    Versions come from the lake's registry or, if there is no lake, from the shipped models.
    """

    def __init__(self, lake: Lake | None) -> None:
        self._lake = lake

    async def load(self, version: str) -> Pricer | None:
        """Return a pricer with `version`. If the version cannot be loaded, log that and return None."""
        try:
            files = (
                read_shipped(version)
                if self._lake is None
                else await read_version(self._lake, version, PRICE)
            )
            return await asyncio.to_thread(Pricer.from_files, files)
        except (ModelUnusable, SinkUnavailable, SettingsError, *UNREADABLE) as error:
            log.warning("former_version_not_loaded", version=version, reason=str(error))
            return None
