"""The merge of raw files into one, reading one row group of one raw file at a time."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from services.compaction.file_groups import CompactedFooter
from services.compaction.pending_files import Link
from shared.lake.client import APPEND_BYTES, Lake
from shared.lake.parquet import ROW_GROUP_ROWS, read_checked, write_options
from shared.service.errors import DamagedFile, SinkUnavailable


class PieceSink:
    """A sink for pyarrow's writer that hands out the written bytes piece by piece."""

    def __init__(self) -> None:
        self.closed = False
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        """Do nothing: no bytes are held back."""

    def close(self) -> None:
        self.closed = True

    def drain(self, min_bytes: int) -> bytes:
        """Return and remove the bytes written so far; return nothing if they are fewer than `min_bytes`."""
        if len(self._written) < min_bytes:
            return b""
        piece, self._written = bytes(self._written), bytearray()
        return piece


async def merge(
    lake: Lake, links: Sequence[Link], schema: pa.Schema, footer: CompactedFooter
) -> AsyncIterator[bytes]:
    """Yield the bytes of the file with the rows of all raw files, in order."""
    sink = PieceSink()
    writer = pq.ParquetWriter(
        pa.PythonFile(sink, mode="w"), schema.with_metadata(footer.key_values()), **write_options(schema)
    )
    pending: pa.Table = schema.empty_table()
    for link in links:
        if not link.footer.rows:
            continue
        data = await lake.read(link.file.path)
        pending = await asyncio.to_thread(_write_row_groups, writer, pending, data, link)
        if piece := sink.drain(APPEND_BYTES):
            yield piece
    await asyncio.to_thread(_close, writer, pending)
    if piece := sink.drain(1):
        yield piece


def _write_row_groups(
    writer: pq.ParquetWriter, pending: pa.Table, data: bytes | None, link: Link
) -> pa.Table:
    """Write the pending rows and a raw file's rows as whole row groups. Return the rows left over."""
    # The whole file is read at once: the roll policy that made it bounds its size.
    if data is None:
        raise SinkUnavailable(f"{link.file.path} went away while it was read")
    table = read_checked(data, link.file.path)
    if table.num_rows != link.footer.rows:
        raise DamagedFile(
            f"{link.file.path} holds {table.num_rows} rows, its footer says {link.footer.rows}: restore it"
        )
    rows = pa.concat_tables([pending, _align(table, writer.schema)])
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


def _close(writer: pq.ParquetWriter, pending: pa.Table) -> None:
    if pending.num_rows:
        writer.write_table(pending, row_group_size=ROW_GROUP_ROWS)
    writer.close()
