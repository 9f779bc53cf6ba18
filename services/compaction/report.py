"""The report of a pass, for people and machines. Pure."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct, field

from shared.service.errors import NeedsAttention, SinkUnavailable

_COLUMNS = ("raw files", "rows", "compacted to", "bytes", "left for later", "table version")


class Outcome(Struct):
    """The result for one stream: `raw_files` raw files with `rows` rows are now in `files` compacted files.

    `waiting_files` raw files are not due yet. `version` is the Delta table's version, or None if there is no
    table yet. `refused` says what a person must change, for each chain that was left as it is, and
    `interrupted` why the pass over this stream ended early, if it did.
    """

    stream: str
    raw_files: int = 0
    rows: int = 0
    files: int = 0
    size_bytes: int = 0
    waiting_files: int = 0
    version: int | None = None
    refused: list[str] = field(default_factory=list)
    interrupted: str = ""


def raise_failures(outcomes: Sequence[Outcome]) -> None:
    """Raise NeedsAttention if a person must act, else SinkUnavailable if a stream's pass ended early."""
    if refused := [f"{one.stream}: {reason}" for one in outcomes for reason in one.refused]:
        raise NeedsAttention("; ".join(refused))
    if interrupted := [f"{one.stream}: {one.interrupted}" for one in outcomes if one.interrupted]:
        raise SinkUnavailable("; ".join(interrupted))


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes of a pass as one JSON object."""
    return msgspec.json.encode({"event": "compacted", "streams": outcomes}).decode()


def as_table(outcomes: Sequence[Outcome], older_than_s: float) -> str:
    """Return the outcomes as a table with one line per stream, and how to compact the waiting files."""
    lines = ["stream".ljust(16) + "".join(name.rjust(16) for name in _COLUMNS)]
    for one in outcomes:
        version = "none" if one.version is None else str(one.version)
        counts = (one.raw_files, one.rows, one.files, one.size_bytes, one.waiting_files)
        cells = [*(f"{count:,}" for count in counts), version]
        lines.append(one.stream.ljust(16) + "".join(cell.rjust(16) for cell in cells))
    if not outcomes:
        lines.append("nothing has landed yet")
    elif any(one.waiting_files for one in outcomes):
        lines.append(
            f"left for later: of hours that may still grow, the newest younger than {older_than_s:g} s "
            "(--older-than 0 takes them)"
        )
    return "\n".join(lines)
