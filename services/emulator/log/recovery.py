"""Recovery of a partition when it is opened: what survived, and where numbers and offsets continue."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from services.emulator.log.files import OpenFiles
from services.emulator.log.marks import RESERVED_BYTES, RESERVED_NUMBERS, LogMarks, Tail, TailFile
from services.emulator.log.segment import NAME, Segment
from shared.service.log_events import EventLog

log = EventLog(__name__)


class Recovered(NamedTuple):
    """The recovered log.

    New events may be appended to the last segment. `marks` is None if marks.json is damaged.
    """

    segments: list[Segment]
    tail: Tail
    marks: LogMarks | None


def recover(
    directory: Path,
    files: OpenFiles,
    tail_file: TailFile,
    in_background: Callable[[Callable[[], None]], None],
) -> Recovered:
    marks, tail = LogMarks.load(directory), tail_file.load()
    is_as_written = marks is not None and marks.are_of_this_boot
    segments = _load_segments(directory, files, trusts_rows=is_as_written)
    newest = segments[-1] if segments else Segment.create(directory, 0, 0, files)
    survived = Tail(newest.next_sequence, newest.end_offset)
    tail = _find_end(survived, tail, marks, is_as_written=is_as_written)
    is_whole = tail[:2] == survived[:2]
    if not is_whole:
        log.warning(
            "numbers_skipped",
            directory=str(directory),
            first_sequence_number=survived[0],
            next_sequence_number=tail[0],
        )
    if segments and newest.last is None and not is_whole:
        segments.pop().delete()
    if not segments or newest.is_sealed or not is_whole:
        segments.append(Segment.create(directory, tail.next_sequence, tail.next_offset, files))
    for segment in segments[:-1]:
        if segment.claim_seal():
            segment.finish()
            in_background(segment.seal)
    return Recovered(segments, _add_last_event(tail, segments), marks)


def _load_segments(directory: Path, files: OpenFiles, *, trusts_rows: bool) -> list[Segment]:
    """Load the segments that hold events, oldest first, and delete the leftovers of interrupted work.

    The newest segment is also kept if it is empty but its name records where the log continues.
    """
    present = {path.name for path in directory.iterdir()}
    names = sorted(filter(NAME.fullmatch, present))
    stems = {name.removesuffix(".log") for name in names}
    for name in present:
        stem, _, suffix = name.rpartition(".")
        if suffix.endswith("-new") or (suffix in {"index", "rows"} and stem not in stems):
            (directory / name).unlink()
    segments = []
    for name in names:
        path = directory / name
        segment = Segment.open_sealed(path, files)
        if segment is None:
            segment, cut_bytes = Segment.recover(path, files, trusts_rows=trusts_rows)
            if cut_bytes:
                log.warning("torn_record_cut", file=str(path), cut_bytes=cut_bytes)
        if segment.last is None and not _marks_end(segment, name == names[-1]):
            segment.delete()
        else:
            segments.append(segment)
    return segments


def _marks_end(segment: Segment, is_newest: bool) -> bool:
    """Return whether the name of an empty segment records where the log continues."""
    return is_newest and segment.base_sequence > 0


def _find_end(survived: Tail, tail: Tail | None, marks: LogMarks | None, *, is_as_written: bool) -> Tail:
    """Return the end of the log, which is never below any number or offset that may have been served."""
    if is_as_written and tail is not None:
        reached = tail
    elif marks is not None:
        reached = Tail(marks.reserved_sequence, marks.reserved_offset)
    else:
        known = tail or survived
        reached = Tail(
            max(known.next_sequence, survived.next_sequence) + RESERVED_NUMBERS,
            max(known.next_offset, survived.next_offset) + RESERVED_BYTES,
        )
    # More may have survived: events that were written, but whose sender was not answered.
    return Tail(
        max(reached.next_sequence, survived.next_sequence),
        max(reached.next_offset, survived.next_offset),
        *(tail or Tail())[2:],
    )


def _add_last_event(tail: Tail, segments: list[Segment]) -> Tail:
    """Return `tail` with the last surviving event; if no event survived, return `tail` unchanged."""
    segment = next((one for one in reversed(segments) if one.last), None)
    if segment is None or segment.last is None:
        return tail
    mark = segment.last
    return tail._replace(
        last_sequence=mark.sequence_number,
        last_offset=segment.base_offset + mark.position,
        last_enqueued_ms=max(mark.enqueued_ms, tail.last_enqueued_ms),
    )
