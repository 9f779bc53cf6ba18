from services.emulator.storage.operations import OPERATIONS
from services.emulator.storage.server import HANDLERS


def test_every_operation_is_served():
    """What is recognised is done: no request falls between the table and the handlers."""
    assert {operation.name for operation in OPERATIONS.values()} == HANDLERS.keys() | {"submit_batch"}
