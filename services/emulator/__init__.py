"""The embedded Azure. For tests of other projects: `from services.emulator import Emulator`.

Nothing is imported before its first use: pytest imports this package at its start (`pytest_plugin`).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.emulator.embedded.emulator import Emulator

__all__ = ["Emulator"]


def __getattr__(name: str) -> Any:
    if name != "Emulator":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from services.emulator.embedded.emulator import Emulator  # noqa: PLC0415 - it imports the servers

    return Emulator
