"""The embedded Azure: Event Hubs and storage for tests. Public: docs/emulator.md, docs/python-api.md.

Nothing is imported before its first use: pytest imports this package at its start (`pytest_plugin`).
"""

from importlib import import_module
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
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
