import msgspec
import pytest

from services.cli.chaos.emulator_faults import strikes_at_once, wanted_of
from services.cli.chaos.schedule import Fault, Kind
from services.emulator.event_hubs.faults import Fault as HubFault
from services.emulator.storage.faults import Fault as StorageFault

BY_THE_EMULATOR = [
    Kind.RENAME_ANSWER_DROPPED,
    Kind.RENAME_HELD_UP,
    Kind.STORAGE_FAILED,
    Kind.STORAGE_SLOWED,
    Kind.SEND_REJECTED,
    Kind.SEND_ANSWER_LOST,
    Kind.LINKS_DETACHED,
    Kind.LINKS_STOLEN,
]


@pytest.mark.parametrize("draw", [0.0, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("kind", BY_THE_EMULATOR)
def test_the_emulator_understands_what_it_is_asked_for(kind, draw):
    """Every fault that is left to the emulator is one that it knows."""
    wanted = wanted_of(Fault(1.0, kind, draw, 3.0))
    known = StorageFault if wanted.get("service") == "storage" else HubFault
    armed = msgspec.convert(wanted, known)
    assert strikes_at_once(kind) == (armed.at == "now")
