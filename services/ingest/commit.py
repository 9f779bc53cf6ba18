"""The commit: one atomic rename-if-absent per slot decides which writer's file counts. See docs/lake.md.

Every step may be repeated, or interrupted anywhere: before the rename no reader sees any effect, and after it
the commit is complete.
"""

import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa
import structlog
from prometheus_client import Counter, Histogram

from services.ingest.open_file import FileContents, build_turn
from shared.contract.columns import Contract
from shared.lake.client import Lake
from shared.lake.dead_letters import encode_letters, reason_code
from shared.lake.slots.chain import read_footer
from shared.lake.slots.footer import Footer, Head
from shared.lake.slots.hints import write_hint
from shared.lake.slots.root import create_root, root_at_hour
from shared.lake.slots.slot import ChainKey, hour_folder
from shared.service import failpoints
from shared.service.errors import FleetpriceError, SinkUnavailable

log = structlog.get_logger()

ROWS_LANDED = Counter("fleetprice_ingest_landed_rows_total", "Rows in committed files", ["hub"])
BYTES_LANDED = Counter("fleetprice_ingest_landed_bytes_total", "Bytes of committed files", ["hub"])
FILES_COMMITTED = Counter(
    "fleetprice_ingest_landed_files_total", "Files committed, zero-row ones included", ["hub"]
)
DEAD_LETTERS = Counter(
    "fleetprice_ingest_dead_letters_total", "Records that could not be decoded", ["hub", "reason"]
)
GAP_EVENTS = Counter(
    "fleetprice_ingest_expired_events_total", "Events that retention took before they landed", ["hub"]
)
SLOTS_LOST = Counter(
    "fleetprice_ingest_lost_slots_total", "Slots that another writer was first to fill", ["hub"]
)
COMMIT_SECONDS = Histogram(
    "fleetprice_ingest_commit_seconds",
    "From the cut to the rename's outcome",
    ["hub"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
COMMIT_FAILURES = Counter(
    "fleetprice_ingest_commit_failures_total", "Attempts at a commit that failed", ["hub"]
)
FILE_ROWS = Histogram(
    "fleetprice_ingest_file_rows",
    "Rows of each committed file",
    ["hub"],
    buckets=(0, 100, 1_000, 5_000, 20_000, 50_000, 100_000, 200_000, 500_000),
)
FILE_BYTES = Histogram(
    "fleetprice_ingest_file_bytes",
    "Size of each committed file",
    ["hub"],
    buckets=[2**power for power in range(12, 28, 2)],
)

MAX_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.25

Encode = Callable[[pa.Table, Footer], Awaitable[bytes]]


class Overtaken(FleetpriceError):
    """The error for a chain that does not end where this writer's events begin.

    The partition is then reopened from the lake.
    """


def new_attempt() -> str:
    """Return a name unique to one attempt at a write."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a chain: the hub's name, the hub's identity (created_at) and the records' contract."""

    hub: str
    created_at: str
    contract: Contract


@dataclass(slots=True)
class Committer:
    """The writer of one partition's chain. `head` is None until the chain has a root."""

    lake: Lake
    chain: ChainKey
    source: Source
    head: Head | None
    encode: Encode
    pause: Callable[[float], Awaitable[None]]
    new_attempt: Callable[[], str] = new_attempt
    _made_folder: str = ""
    _noted_hour: int | None = None

    async def land(self, contents: FileContents) -> None:
        """Return once each event of `contents` is in a committed file, this writer's or another's.

        Raises Overtaken if the chain ends before the contents begin, SinkUnavailable if all of a bounded
        number of attempts fail. In either case the partition is reopened from the lake.
        """
        rest = await self._find_rest(contents)
        failures = 0
        while rest is not None:
            try:
                committed = await self._attempt(self._next_step(rest))
            except SinkUnavailable as error:
                failures += 1
                COMMIT_FAILURES.labels(self.source.hub).inc()
                if failures == MAX_ATTEMPTS:
                    raise
                log.warning(
                    "commit_repeated",
                    stream=self.chain.stream,
                    partition=self.chain.partition,
                    failures=failures,
                    reason=str(error),
                )
                self._made_folder = ""
                await self.pause(_FIRST_PAUSE_S * 2**failures)
                continue
            await self._note_hour()
            self.head = committed.head
            # Events in another writer's file are dropped. The rest is kept: the link delivers it only once.
            rest = rest.after(committed.last_seq)

    async def _find_rest(self, contents: FileContents) -> FileContents | None:
        """Return the events that are not in the chain yet, or None if all are.

        The chain's root is created if there is none. Raises Overtaken if the chain ends before the contents
        begin.
        """
        if self.head is None:
            wanted = root_at_hour(self.source.created_at, contents.first, contents.hour)
            self.head = (await create_root(self.lake, self.chain, wanted)).head
        if contents.first > self.head.next_first:
            raise Overtaken(f"the chain is at {self.head.next_first}, the range starts at {contents.first}")
        return contents.after(self.head.next_first - 1)

    def _next_step(self, rest: FileContents) -> FileContents:
        """Return the contents of the next file.

        That is `rest`; but if `rest` is for a later hour's folder than the chain's next one, it is a zero-row
        file that makes the chain continue in that folder.
        """
        head = self._require_head()
        if rest.hour > head.next_hour:
            schema = self.source.contract.raw_schema
            return build_turn(rest.first, head.next_hour, rest.hour, head.last_offset, schema)
        return rest

    def _require_head(self) -> Head:
        if self.head is None:
            raise AssertionError("a chain without a root has no slots")
        return self.head

    async def _attempt(self, step: FileContents) -> Footer:
        """Attempt once to fill the next slot; return the footer found there, of this attempt or another.

        Raises SinkUnavailable if the slot is empty or cannot be read. Each further attempt has another name,
        and finds whatever this attempt may still leave in the slot.
        """
        head, attempt, started_s = self._require_head(), self.new_attempt(), time.monotonic()
        slot = self.chain.slot(head.next_hour, step.first)
        staged = self.chain.staged(head.next_hour, step.first, attempt)
        footer = self._footer(step, attempt)
        data = await self.encode(step.table, footer)
        # A crash after this leaves a staged file that nothing reads until it is swept; the sweep finds the
        # attempt's dead letters by it. If those were written first, a crash could leave them for ever.
        await self.lake.write(staged, data)
        if footer.dead_letter:
            letters = encode_letters(self.chain.stream, step.letters)
            await self.lake.write_pieces(footer.dead_letter, letters)
        await self._make_folder(slot.rpartition("/")[0])
        failpoints.reach("ingest_staged")
        committed = await self._rename(staged, slot, footer)
        # A crash from here on costs nothing: the file is committed, and the next start reads it.
        COMMIT_SECONDS.labels(self.source.hub).observe(time.monotonic() - started_s)
        if committed.attempt == attempt:
            failpoints.reach("ingest_renamed")
            self._count(slot, step, len(data))
        else:
            SLOTS_LOST.labels(self.source.hub).inc()
            log.info(
                "slot_lost",
                path=slot,
                first_sequence_number=step.first,
                last_sequence_number=step.last,
                their_last_sequence_number=committed.last_seq,
            )
            await self._delete_attempt(staged, footer.dead_letter)
        return committed

    async def _rename(self, staged: str, slot: str, mine: Footer) -> Footer:
        """Rename the staged file to its slot; return the footer found there, whatever the rename answered.

        Raises SinkUnavailable if the slot is still empty.
        """
        reason = "the file in it went away"
        try:
            if await self.lake.rename_if_absent(staged, slot):
                return mine
        except SinkUnavailable as error:
            reason = str(error)  # the rename may have happened all the same: the slot shows it
        committed = await read_footer(self.lake, slot)
        if committed is None:
            raise SinkUnavailable(f"{slot} is still empty: {reason}")
        return committed

    def _footer(self, step: FileContents, attempt: str) -> Footer:
        return Footer(
            first_seq=step.first,
            last_seq=step.last,
            last_offset=step.last_offset or self._require_head().last_offset,
            next_first=step.last + 1,
            next_folder=hour_folder(max(step.next_hour, self._require_head().next_hour)),
            rows=step.table.num_rows,
            bad=len(step.letters),
            gap=step.gap,
            attempt=attempt,
            dead_letter=self.chain.dead_letters(step.first, attempt) if step.letters else "",
            schema_version=self.source.contract.version,
            created_at=self.source.created_at,
        )

    async def _note_hour(self) -> None:
        # The hour of the file just committed, by this writer or another.
        hour = self._require_head().next_hour
        if hour != self._noted_hour:
            await write_hint(self.lake, self.chain, hour, self._noted_hour)
            self._noted_hour = hour

    async def _make_folder(self, folder: str) -> None:
        if folder != self._made_folder:
            await self.lake.make_directory(folder)
            self._made_folder = folder

    async def _delete_attempt(self, staged: str, letters: str) -> None:
        """Delete the files of an attempt that lost its slot.

        The staged file is deleted first, so that it cannot land and its dead letters cannot count.
        """
        with suppress(SinkUnavailable):  # what is left here is swept
            await self.lake.delete(staged)
            if letters:
                await self.lake.delete(letters)

    def _count(self, path: str, step: FileContents, size_bytes: int) -> None:
        hub = self.source.hub
        FILES_COMMITTED.labels(hub).inc()
        ROWS_LANDED.labels(hub).inc(step.table.num_rows)
        BYTES_LANDED.labels(hub).inc(size_bytes)
        FILE_ROWS.labels(hub).observe(step.table.num_rows)
        FILE_BYTES.labels(hub).observe(size_bytes)
        for letter in step.letters:
            DEAD_LETTERS.labels(hub, reason_code(letter.bad.reason)).inc()
        if step.gap:
            GAP_EVENTS.labels(hub).inc(step.gap)
            log.warning(
                "events_expired",
                hub=hub,
                partition=self.chain.partition,
                first_sequence_number=step.first,
                events=step.gap,
                path=path,
            )
        log.info(
            "file_committed",
            path=path,
            rows=step.table.num_rows,
            bad=len(step.letters),
            size_bytes=size_bytes,
        )
