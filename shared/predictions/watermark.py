"""A watermark per source partition: what is not above it was read before (pure)."""

from datetime import datetime

from msgspec import Struct


class Mark(Struct, frozen=True):
    """The highest (sequence number, line) of a source partition seen so far, and that hub's created_at."""

    created_at: datetime
    sequence_number: int
    line: int


class Watermarks:
    """The marks of all source partitions; they recognise doubles of any process or model version."""

    def __init__(self, marks: dict[int, Mark] | None = None) -> None:
        self.marks = dict(marks or {})
        self.doubles = 0

    def is_new(self, partition: int, mark: Mark) -> bool:
        """Return whether `mark` is above its partition's; if so, it becomes the partition's mark."""
        held = self.marks.get(partition)
        if held is not None and not _is_above(mark, held):
            self.doubles += 1
            return False
        self.marks[partition] = mark
        return True


def _is_above(mark: Mark, held: Mark) -> bool:
    if mark.created_at != held.created_at:
        return mark.created_at > held.created_at  # a re-created source hub counts from 0 again
    return (mark.sequence_number, mark.line) > (held.sequence_number, held.line)
