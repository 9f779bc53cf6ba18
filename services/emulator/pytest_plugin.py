"""The emulator as pytest fixtures, for any project that has fleetprice installed (docs/emulator.md).

pytest imports this file in every such project. The file therefore imports nothing heavy until a test uses
a fixture.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from services.emulator import Emulator
    from services.emulator.embedded.event_hubs import EventHubs
    from services.emulator.embedded.storage import AzureStorage

_CONFIG = "fleetprice_emulator_config"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        _CONFIG,
        "Config.json of Microsoft's Event Hubs emulator, relative to pytest's root folder: every emulator "
        "fixture has its hubs",
    )


@pytest.fixture
def fleetprice_emulator(pytestconfig: pytest.Config, tmp_path: Path) -> "Iterator[Emulator]":
    """An empty emulator for this test: Event Hubs and storage on free ports."""
    with _emulator(pytestconfig, tmp_path / "emulator") as emulator:
        yield emulator


@pytest.fixture(scope="session")
def fleetprice_emulator_session(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Emulator]":
    """One emulator for the session, per pytest-xdist worker. All tests of the session share it.

    A test that needs an empty hub calls `create_hub()` without a name.
    """
    with _emulator(pytestconfig, tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture
def event_hubs(fleetprice_emulator: "Emulator") -> "EventHubs":
    """The Event Hubs namespace of this test's emulator."""
    return fleetprice_emulator.event_hubs


@pytest.fixture
def azure_storage(fleetprice_emulator: "Emulator") -> "AzureStorage":
    """The storage account of this test's emulator."""
    return fleetprice_emulator.storage


def _emulator(config: pytest.Config, data: Path) -> "Emulator":
    from services.emulator import Emulator  # noqa: PLC0415 - it imports the servers

    declared = config.getini(_CONFIG)
    return Emulator(data, config=config.rootpath / declared if declared else None)
