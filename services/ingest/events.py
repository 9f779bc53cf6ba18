"""An event as the pipeline takes it in, whatever the transport (pure)."""

from msgspec import Struct

from shared.dead_letters.replayed import DeadLetterId


class Event(Struct, frozen=True, gc=False):
    """One event of one partition; `enqueued_us` is microseconds since the epoch, UTC.

    `replay_of` is the dead letter that it was sent in the stead of, if it was.
    """

    sequence_number: int
    offset: str
    enqueued_us: int
    content_type: str | None
    body: bytes
    replay_of: DeadLetterId | None = None
