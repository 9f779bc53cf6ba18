"""An event as the pipeline takes it in, whatever the transport (pure)."""

from msgspec import Struct


class Event(Struct, frozen=True, gc=False):
    """One event of one partition; `enqueued_us` is microseconds since the epoch, UTC."""

    sequence_number: int
    offset: str
    enqueued_us: int
    content_type: str | None
    body: bytes
