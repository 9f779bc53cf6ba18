from services.emulator.storage.server import HANDLERS
from services.emulator.storage.wire.routing import OPERATIONS

# Carried out by the server itself: one performs other requests, one asks who is calling.
BEYOND_THE_STORE = {"submit_batch", "get_user_delegation_key"}


def test_every_operation_is_served():
    """Every operation in the routing table has a handler."""
    assert {operation.name for operation in OPERATIONS.values()} == HANDLERS.keys() | BEYOND_THE_STORE
