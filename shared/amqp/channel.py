"""The sending side of one session: its channel number, its windows and its ids. Pure: no I/O."""

from collections.abc import Sequence

from shared.amqp import performative_encoder
from shared.amqp.peer import Peer
from shared.amqp.performatives import UINT_MAX, Begin, Flow

INCOMING_WINDOW = 0x7FFFFFFF
_SIGN_BIT = 0x80000000


def serial_difference(a: int, b: int) -> int:
    """Return how far `a` is ahead of `b` in 32-bit serial numbers (RFC 1982), or 0 if `a` is behind."""
    difference = (a - b) & UINT_MAX
    return 0 if difference & _SIGN_BIT else difference


class Channel:
    """The sending side of one session; `window` is how many more frames the peer's session accepts."""

    def __init__(self, peer: Peer, number: int, begin: Begin) -> None:
        self.peer = peer
        self.number = number
        self.next_delivery_id = 1
        self.window = begin.incoming_window
        self._next_incoming_id = begin.next_outgoing_id
        self._next_outgoing_id = 1

    def send(self, body: bytes) -> None:
        self.peer.send(self.number, body)

    def send_flow(self, link: Sequence[int] | None = None) -> None:
        """Send a FLOW for the session, or for a link given as (handle, delivery count, credit)."""
        self.send(
            performative_encoder.flow(
                next_incoming_id=self._next_incoming_id,
                incoming_window=INCOMING_WINDOW,
                next_outgoing_id=self._next_outgoing_id,
                link=link,
            )
        )

    def count_sent(self, deliveries: int, frames: int) -> None:
        self.next_delivery_id = (self.next_delivery_id + deliveries) & UINT_MAX
        self._next_outgoing_id = (self._next_outgoing_id + frames) & UINT_MAX
        self.window -= frames

    def count_received(self) -> None:
        """Count one received frame.

        The incoming window is not enforced, because pyamqp (5.15.1) counts deliveries instead of frames.
        """
        self._next_incoming_id = (self._next_incoming_id + 1) & UINT_MAX

    def apply_flow(self, flow: Flow) -> None:
        """Set `window` from the peer's FLOW."""
        reached = 1 if flow.next_incoming_id is None else flow.next_incoming_id
        self.window = serial_difference(reached + flow.incoming_window, self._next_outgoing_id)
