import msgspec
import pytest

from services.cli.chaos.emulator_faults import fault_request, strikes_at_once
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
def test_the_emulator_knows_every_requested_fault(kind, draw):
    """Each request is one that the emulator accepts."""
    request = fault_request(Fault(1.0, kind, draw, 3.0))
    known = StorageFault if request.get("service") == "storage" else HubFault
    armed = msgspec.convert(request, known)
    assert strikes_at_once(kind) == (armed.at == "now")
