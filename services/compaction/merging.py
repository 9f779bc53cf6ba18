"""Raw files into one, a raw file and a row group at a time."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from services.compaction.file_groups import Covered
from services.compaction.pending_files import Link
from shared.lake.client import APPEND_BYTES, Lake
from shared.lake.parquet import ROW_GROUP_ROWS, write_options
from shared.service.errors import SinkUnavailable


class PieceSink:
    """A file being written, taken away piece by piece; what pyarrow asks of a sink."""

    def __init__(self) -> None:
        self.closed = False
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

    def taken(self, min_bytes: int) -> bytes:
        """What was written since, if it is worth a request."""
        if len(self._written) < min_bytes:
            return b""
        piece, self._written = bytes(self._written), bytearray()
        return piece


async def merge(
    lake: Lake, links: Sequence[Link], schema: pa.Schema, covered: Covered
) -> AsyncIterator[bytes]:
    """The bytes of the file that holds the rows of all of them, in order."""
    sink = PieceSink()
    writer = pq.ParquetWriter(
        pa.PythonFile(sink, mode="w"), schema.with_metadata(covered.key_values()), **write_options(schema)
    )
    waiting: pa.Table = schema.empty_table()
    for link in links:
        if not link.footer.rows:
            continue
        data = await lake.read(link.file.path)
        waiting = await asyncio.to_thread(_write_row_groups, writer, waiting, data, link)
        if piece := sink.taken(APPEND_BYTES):
            yield piece
    await asyncio.to_thread(_close, writer, waiting)
    if piece := sink.taken(1):
        yield piece


def _write_row_groups(
    writer: pq.ParquetWriter, waiting: pa.Table, data: bytes | None, link: Link
) -> pa.Table:
    """Write whole row groups of what waits and a raw file's rows; the rows that wait for the next one."""
    # Read in one go: a raw file is bounded by the roll policy that made it.
    table = pq.ParquetFile(pa.BufferReader(data or b"")).read() if data else None
    if table is None or table.num_rows != link.footer.rows:
        raise SinkUnavailable(f"{link.file.path} changed while it was read")
    rows = pa.concat_tables([waiting, _align(table, writer.schema)])
    whole = rows.num_rows - rows.num_rows % ROW_GROUP_ROWS
    if whole:
        writer.write_table(rows.slice(0, whole), row_group_size=ROW_GROUP_ROWS)
    return rows.slice(whole)


def _align(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        table[field.name] if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema.remove_metadata())


def _close(writer: pq.ParquetWriter, waiting: pa.Table) -> None:
    if waiting.num_rows:
        writer.write_table(waiting, row_group_size=ROW_GROUP_ROWS)
    writer.close()
