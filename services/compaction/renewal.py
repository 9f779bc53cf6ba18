"""The renewal of compacted files that an earlier release wrote in encodings that common readers refuse.

    file of the table → the same rows in a staged file → renamed beside it → replaces it in the table's log

It is done once for a table; the log records that. A crash at any point costs nothing but the work.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from services.compaction.delta_table import StreamTable
from services.compaction.file_groups import CompactedFooter, staged_path, table_folder
from services.compaction.merging import PieceSink
from services.compaction.statistics import encode_statistics
from services.compaction.table_commit import NewFile, Replacement
from shared.lake.client import APPEND_BYTES, Lake
from shared.lake.parquet import ROW_GROUP_ROWS, read_row_groups, write_options
from shared.lake.slots.chain import read_file_metadata
from shared.lake.slots.slot import parse_hour_folder, parse_slot_name
from shared.service.errors import DamagedFile, SinkUnavailable

log = structlog.get_logger()

_READ_EVERYWHERE = frozenset({"PLAIN", "RLE", "BIT_PACKED", "RLE_DICTIONARY", "PLAIN_DICTIONARY"})
_FILES_A_COMMIT = 32


async def renew_files(lake: Lake, stream: str, table: StreamTable) -> list[str]:
    """Replace the files of the table that not every reader takes, unless it has been done before.

    Return a sentence for each file that is damaged and was left as it is.
    """
    if await table.is_renewed():
        return []
    damaged: list[str] = []
    batch: list[Replacement] = []
    for path in await table.list_paths():
        try:
            renewed = await _renew(lake, stream, path)
        except DamagedFile as error:
            damaged.append(str(error))
            continue
        batch += [] if renewed is None else [renewed]
        if len(batch) == _FILES_A_COMMIT:
            await table.replace(batch, is_last=False)
            batch = []
    await table.replace(batch, is_last=not damaged)
    return damaged


async def _renew(lake: Lake, stream: str, path: str) -> Replacement | None:
    """Write a file with the rows of the table's file `path`; return None if that file is read everywhere."""
    folder, _, name = path.rpartition("/")
    slot = parse_slot_name(stream, name)
    if slot is None:
        return None  # made by another program, an OPTIMIZE for example
    whole_path = f"{table_folder(stream)}/{path}"
    metadata = await read_file_metadata(lake, whole_path)
    if metadata is None:
        raise SinkUnavailable(f"{whole_path} went away while it was read")
    if _encodings(metadata) <= _READ_EVERYWHERE:
        return None
    chain, first = slot
    new_name = f"{name.removesuffix('.parquet')}-plain.parquet"
    new_path = f"{table_folder(stream)}/{folder}/{new_name}"
    staged = staged_path(chain, first, uuid.uuid4().hex)
    await lake.write_pieces(staged, _rewrite(lake, whole_path))
    if not await lake.rename_if_absent(staged, new_path):
        await lake.delete(staged)  # another compaction's, or an earlier one's that was interrupted
    written, file = await read_file_metadata(lake, new_path), await lake.stat(new_path)
    if written is None or file is None or written.num_rows != metadata.num_rows:
        raise SinkUnavailable(f"{new_path} is not the file that was written")
    footer = CompactedFooter.from_key_values(written.metadata or {}, new_path)
    log.info("file_renewed", path=new_path, rows=written.num_rows, size_bytes=file.size_bytes)
    new_file = NewFile(
        parse_hour_folder(folder),
        first,
        footer.next_first,
        new_name,
        file.size_bytes,
        file.modified_at.timestamp(),
        written.schema.to_arrow_schema().remove_metadata(),
        encode_statistics(written),
    )
    return Replacement(path, new_file)


def _encodings(metadata: pq.FileMetaData) -> set[str]:
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    return {
        encoding
        for group in groups
        for column in range(metadata.num_columns)
        for encoding in group.column(column).encodings
    }


async def _rewrite(lake: Lake, path: str) -> AsyncIterator[bytes]:
    """Yield the bytes of a file with the same rows and key-values, one row group of it at a time."""
    data = await lake.read(path)
    if data is None:
        raise SinkUnavailable(f"{path} went away while it was read")
    schema = pq.read_schema(pa.BufferReader(data))
    sink = PieceSink()
    writer = pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, **write_options(schema))
    groups = read_row_groups(data, path)
    while (group := await asyncio.to_thread(next, groups, None)) is not None:
        await asyncio.to_thread(writer.write_table, group, row_group_size=ROW_GROUP_ROWS)
        if piece := sink.drain(APPEND_BYTES):
            yield piece
    await asyncio.to_thread(writer.close)
    yield sink.drain(1)
