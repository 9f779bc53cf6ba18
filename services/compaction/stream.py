"""One pass over one stream: raw files become compacted files, which are then added to the Delta table.

    raw files of a group → staged file → renamed to the group's slot → added to the table's log

A slot is the path of a compacted file. After a crash at any point the next pass continues: the log records
how far each chain is compacted, and a file that is already in the next slot is used as it is. Two passes at
the same time use the same slots and the same log.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress

import pyarrow.parquet as pq
import structlog

from services.compaction.delta_table import StreamTable
from services.compaction.file_groups import (
    CompactedFooter,
    GroupPolicy,
    RawFile,
    compacted_path,
    next_group,
    staged_path,
)
from services.compaction.merging import merge
from services.compaction.pending_files import Link, read_links, unify_schemas
from services.compaction.raw_listing import Waiting, list_date, list_dates
from services.compaction.renewal import renew_files
from services.compaction.report import Outcome
from services.compaction.statistics import encode_statistics
from services.compaction.table_commit import ChainCommit, NewFile
from shared.lake.client import Lake, parent_directory
from shared.lake.slots.chain import read_file_metadata
from shared.lake.slots.root import Root, list_chains, read_root
from shared.lake.slots.slot import ChainKey
from shared.service import failpoints
from shared.service.errors import NeedsAttention, SettingsError, SinkUnavailable

log = structlog.get_logger()

# Files per commit: their rows become visible together, and an interrupted pass keeps its commits.
_FILES_A_COMMIT = 32


class StreamCompaction:
    """A single pass over one stream. Call `run` only once."""

    def __init__(self, policy: GroupPolicy, stream: str, lake: Lake, table: StreamTable) -> None:
        self._policy = policy
        self._stream = stream
        self._lake = lake
        self._table = table
        self._roots: Mapping[ChainKey, Root] = {}
        self._committed: dict[ChainKey, int] = {}
        self._positions: dict[ChainKey, int] = {}
        self._commits: dict[ChainKey, ChainCommit] = {}
        self._refused: set[ChainKey] = set()
        self.outcome = Outcome(stream)

    async def run(self) -> Outcome:
        """Compact the due files of every chain of the stream and return the outcome.

        A chain that needs a person's attention is left as it is, and the outcome says why; the others go on.
        """
        try:
            await self._run()
        except SettingsError:
            raise  # the storage refused this process, whatever the stream
        except NeedsAttention as error:
            self._note_refusal(str(error))
        except SinkUnavailable as error:
            self.outcome.interrupted = str(error)
        self.outcome.version = self._table.version
        return self.outcome

    async def _run(self) -> None:
        await self._table.open()
        self._roots = await self._read_roots()
        self._committed = await self._table.read_positions(self._roots)
        self._positions = {
            chain: self._committed.get(chain, root.first) for chain, root in self._roots.items()
        }
        waiting: Waiting = {}
        for date in await list_dates(self._lake, self._stream, self._roots, self._positions):
            for chain, files in (await list_date(self._lake, self._stream, date, self._positions)).items():
                waiting[chain] = await self._compact_if_sound(chain, [*waiting.get(chain, ()), *files])
        await self._commit()
        self.outcome.waiting_files = sum(map(len, waiting.values()))
        for reason in await renew_files(self._lake, self._stream, self._table):
            self._note_refusal(reason)

    async def _read_roots(self) -> dict[ChainKey, Root]:
        roots = {}
        async for chain in list_chains(self._lake, self._stream):
            try:
                root = await read_root(self._lake, chain)
            except NeedsAttention as error:
                self._note_refusal(str(error))
                continue
            if root is not None:
                roots[chain] = root
        return dict(sorted(roots.items()))

    def _note_refusal(self, reason: str) -> None:
        self.outcome.refused.append(reason)
        log.error("chain_refused", stream=self._stream, reason=reason)

    async def _compact_if_sound(self, chain: ChainKey, files: Sequence[RawFile]) -> list[RawFile]:
        """Compact the due files of a chain, unless the chain needs attention; return the files left over."""
        if chain in self._refused:
            return list(files)
        try:
            return await self._compact(chain, files)
        except SettingsError:
            raise
        except NeedsAttention as error:
            self._refused.add(chain)
            self._note_refusal(str(error))
            return list(files)

    async def _compact(self, chain: ChainKey, files: Sequence[RawFile]) -> list[RawFile]:
        """Compact the due files of a chain. Return the files that are left for a later pass."""
        while group := next_group(files, self._policy, time.time()):
            position = self._positions[chain]
            root = self._roots[chain]
            links = await read_links(self._lake, chain, group, position, root.created_at)
            if not links:
                break
            commit = self._commits.setdefault(chain, ChainCommit(chain, self._committed.get(chain), position))
            next_first = await self._cover(commit, links)
            self._positions[chain] = commit.end = next_first
            # A file that another compaction wrote may end before the files read here, or after them.
            done = {link.file for link in links if link.footer.next_first <= next_first}
            files = [file for file in files if file.first >= next_first and file not in done]
            if sum(len(one.files) for one in self._commits.values()) >= _FILES_A_COMMIT:
                await self._commit()
        return list(files)

    async def _cover(self, commit: ChainCommit, links: Sequence[Link]) -> int:
        """Ensure that the slot has a compacted file that begins with the first raw file with rows.

        Adds the compacted file to `commit`, and returns the `next_first` of the compacted file. If no raw
        file has rows, there is no compacted file, and the result is the `next_first` of the last raw file.
        """
        start = next((index for index, link in enumerate(links) if link.footer.rows), None)
        if start is None:
            return links[-1].footer.next_first
        links = links[start:]
        chain = commit.chain
        slot = compacted_path(chain, links[0].file.hour, links[0].file.first)
        metadata = await read_file_metadata(self._lake, slot)
        if metadata is None:
            metadata = await self._write(chain, slot, links)
        else:
            log.info("file_found", path=slot)
        footer = CompactedFooter.from_key_values(metadata.metadata or {}, slot)
        commit.files.append(await self._describe(links[0].file, slot, metadata, footer))
        return footer.next_first

    async def _write(self, chain: ChainKey, slot: str, links: Sequence[Link]) -> pq.FileMetaData:
        """Merge the raw files and rename the result to `slot`. Return the metadata of the file in the slot.

        The file in the slot is another compaction's if that one was first. Raises SinkUnavailable if the slot
        is still empty.
        """
        attempt = staged_path(chain, links[0].file.first, uuid.uuid4().hex)
        footer = CompactedFooter.from_raw_footers([link.footer for link in links])
        started_s = time.monotonic()
        # A crash after this leaves a staged file that is never read, until it is vacuumed.
        size_bytes = await self._lake.write_pieces(
            attempt, merge(self._lake, links, unify_schemas(links), footer)
        )
        await self._lake.make_directory(parent_directory(slot))
        failpoints.reach("compaction_staged")
        is_ours, reason = False, "the file in it disappeared"
        try:
            is_ours = await self._lake.rename_if_absent(attempt, slot)
        except SinkUnavailable as error:
            reason = str(error)  # the rename may have happened all the same: the slot decides
        # A crash after this leaves a file that is not in the table: the next pass finds it and adds it.
        failpoints.reach("compaction_renamed")
        metadata = await read_file_metadata(self._lake, slot)
        if metadata is None:
            raise SinkUnavailable(f"{slot} is still empty: {reason}")
        if is_ours:
            took_s = round(time.monotonic() - started_s, 3)
            log.info("file_compacted", path=slot, rows=footer.rows, size_bytes=size_bytes, took_s=took_s)
        else:
            with suppress(SinkUnavailable):  # a file left here is vacuumed
                await self._lake.delete(attempt)
        return metadata

    async def _describe(
        self, first: RawFile, slot: str, metadata: pq.FileMetaData, footer: CompactedFooter
    ) -> NewFile:
        file = await self._lake.stat(slot)
        if file is None:
            raise SinkUnavailable(f"{slot} disappeared")
        self.outcome.raw_files += footer.files
        self.outcome.rows += footer.rows
        self.outcome.files += 1
        self.outcome.size_bytes += file.size_bytes
        return NewFile(
            first.hour,
            first.first,
            footer.next_first,
            slot.rpartition("/")[2],
            file.size_bytes,
            file.modified_at.timestamp(),
            metadata.schema.to_arrow_schema().remove_metadata(),
            encode_statistics(metadata),
        )

    async def _commit(self) -> None:
        """Add the new files of all chains to the table, in one commit if the table takes them all."""
        moved = [one for one in self._commits.values() if one.files or one.end != one.start]
        self._commits.clear()
        if self._table.version is None and not any(one.files for one in moved):
            return  # events without rows create no table
        try:
            await self._append(moved)
        except NeedsAttention:
            for one in moved:
                await self._append_if_sound(one)

    async def _append_if_sound(self, commit: ChainCommit) -> None:
        try:
            await self._append([commit])
        except NeedsAttention as error:
            self._refused.add(commit.chain)
            self._note_refusal(str(error))

    async def _append(self, commits: Sequence[ChainCommit]) -> None:
        if commits:
            # A crash before this costs nothing: the next pass finds the files in their slots.
            await self._table.append(commits)
            failpoints.reach("compaction_committed")
        self._committed |= {one.chain: one.end for one in commits}
