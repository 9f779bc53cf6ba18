"""A watermark per source partition: a prediction at or below the watermark was read before (pure)."""

from datetime import datetime

from msgspec import Struct


class Mark(Struct, frozen=True):
    """The highest (sequence number, line) read of a source partition, and when the source hub was created."""

    created_at: datetime
    sequence_number: int
    line: int


class Watermarks:
    """The marks of all source partitions, by which a prediction that was published twice is recognised.

    The second publication may come from another process or model version.
    """

    def __init__(self, marks: dict[int, Mark] | None = None) -> None:
        self.marks = dict(marks or {})
        self.doubles = 0

    def is_new(self, partition: int, mark: Mark) -> bool:
        """Return whether `mark` is above the partition's mark, and if so replace the partition's mark.

        Otherwise the prediction is counted as a double.
        """
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
