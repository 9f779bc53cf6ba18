"""The embedded Azure: Event Hubs and storage for tests. Public API: docs/emulator.md, docs/python-api.md.

Nothing is imported until a name of this package is first used, because pytest imports this package at its
start (see `pytest_plugin`).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.emulator.embedded.emulator import Emulator
    from services.emulator.embedded.event_hubs import EventHub, EventHubs
    from services.emulator.embedded.storage import AzureStorage

__all__ = ["AzureStorage", "Emulator", "EventHub", "EventHubs"]

_MODULES = {
    "AzureStorage": "services.emulator.embedded.storage",
    "Emulator": "services.emulator.embedded.emulator",
    "EventHub": "services.emulator.embedded.event_hubs",
    "EventHubs": "services.emulator.embedded.event_hubs",
}


def __getattr__(name: str) -> Any:
    from shared.service.extras import lazy_exports  # noqa: PLC0415 - only if a name is used

    return lazy_exports(__name__, _MODULES, "the emulator", "emulator")(name)
