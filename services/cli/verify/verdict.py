"""The verdict, as one JSON object for machines and a table for people (pure)."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

_MAX_FAULTS_SHOWN = 20


class Counts(Struct, frozen=True):
    """The object that `fleetprice verify --json` promises.

    All counts are of readings, except `files` and `events` and the counts of dead letters. `sent` are the
    readings that were acked in the simulator's record; `landed` are the raw rows of all senders; `events` are
    the events in the lake, bad ones included. `replayed` are the dead letters that were sent again and
    landed. `latency_ms` is the time from a reading to its prediction in the hub.

    `waiting` are readings that did not land, but are in the hub after the lake's last event.
    `predictions_waiting` are readings that landed, but come after the last priced reading of their partition.
    In a stack at rest these are missing too; a stack that goes on catches up with them.
    """

    sent: int
    landed: int
    missing: int
    doubled: int
    out_of_order: int
    dead_lettered: int
    predicted: int
    predictions_missing: int
    predictions_doubled: int
    predictions_doubled_raw: int
    latency_ms: dict[str, float | None]
    files: int
    events: int
    replayed: int = 0
    waiting: int = 0
    predictions_waiting: int = 0


class Verdict(Struct, frozen=True):
    """The result of a verification: the counts, the faults that no count shows, and notes for people."""

    counts: Counts
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Return whether nothing is missing, doubled or out of order, and no other fault was found."""
        counts = self.counts
        return not (
            counts.missing
            or counts.doubled
            or counts.out_of_order
            or counts.predictions_missing
            or counts.predictions_doubled
            or self.faults
        )

    def json(self) -> str:
        return msgspec.json.encode(self.counts).decode()

    def fault_lines(self) -> Iterator[str]:
        """Yield the first faults, and if there are more, a line with the number of the others."""
        yield from self.faults[:_MAX_FAULTS_SHOWN]
        if len(self.faults) > _MAX_FAULTS_SHOWN:
            yield f"and {len(self.faults) - _MAX_FAULTS_SHOWN} more"

    def table(self) -> str:
        counts = self.counts
        rows = [
            ("readings", _format_counts(sent=counts.sent, landed=counts.landed, missing=counts.missing)),
            ("", _format_counts(doubled=counts.doubled, out_of_order=counts.out_of_order)),
            ("dead letters", _format_counts(all=counts.dead_lettered, replayed=counts.replayed)),
            ("predictions", _format_counts(predicted=counts.predicted, missing=counts.predictions_missing)),
            (
                "",
                _format_counts(
                    doubled=counts.predictions_doubled, doubled_in_the_hub=counts.predictions_doubled_raw
                ),
            ),
            ("latency", _format_latencies(counts.latency_ms)),
            ("lake", _format_counts(files=counts.files, events=counts.events)),
            *(("note", note) for note in self.notes),
            ("verdict", "nothing lost, nothing doubled, in order" if self.is_clean else "something is wrong"),
        ]
        return "\n".join(f"{name:<14}{text}".rstrip() for name, text in rows)


def _format_counts(**counts: int) -> str:
    return "".join(f"{name.replace('_', ' ')} {count:,}".ljust(24) for name, count in counts.items())


def _format_latencies(latency_ms: dict[str, float | None]) -> str:
    known = {name: value for name, value in latency_ms.items() if value is not None}
    return (
        "".join(f"{name} {value:,.1f} ms".ljust(24) for name, value in known.items()) or "nothing predicted"
    )
