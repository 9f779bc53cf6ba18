"""Conversion of raw rows to Parquet bytes and back, and readers of a file's footer. No I/O.

Values are written plain or by dictionary and compressed with zstd, because that is what every reader of
Parquet takes; docs/decisions/009-plain-parquet.md says what it costs. Each page has a checksum.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.lake.slots.footer import Footer
from shared.service.errors import DamagedFile

ROW_GROUP_ROWS = 128 * 1024
FOOTER_READ_BYTES = 64 * 1024
_ZSTD_LEVEL = 3
_MAGIC = b"PAR1"
_TRAILER = struct.Struct("<I4s")
# Values that hardly repeat from row to row: a dictionary of them would only cost time and space.
_PLAIN = frozenset(
    {"latitude", "longitude", "odometer_km", "price", "lower", "upper", "reading_no", "offset"}
    | {"sequence_number", "source_sequence_number", "line", "source_line"}
)


def write_options(schema: pa.Schema) -> dict[str, Any]:
    """Return the options for pyarrow's Parquet writers."""
    return {
        "compression": "zstd",
        "compression_level": _ZSTD_LEVEL,
        "use_dictionary": [
            _leaf(column)
            for column in schema
            if column.name not in _PLAIN and not pa.types.is_timestamp(column.type)
        ],
        "write_page_checksum": True,
    }


def encode(table: pa.Table, footer: Footer) -> bytes:
    """Encode the rows and the footer as one complete Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(footer.key_values()),
        sink,
        row_group_size=ROW_GROUP_ROWS,
        **write_options(table.schema),
    )
    return bytes(sink.getvalue())


def footer_size(tail: bytes) -> int:
    """Return the size of a file's Parquet footer in bytes, including the trailer.

    Raises ValueError if the file is not Parquet.
    """
    if len(tail) < _TRAILER.size:
        raise ValueError("too short for Parquet")
    size, magic = _TRAILER.unpack(tail[-_TRAILER.size :])
    if magic != _MAGIC:
        raise ValueError("not Parquet")
    return int(size) + _TRAILER.size


def read_metadata(tail: bytes) -> pq.FileMetaData:
    """Parse a file's Parquet metadata; `tail` must contain the complete footer.

    Raises ValueError or OSError if the file is not readable Parquet.
    """
    return pq.read_metadata(pa.BufferReader(_MAGIC + tail[-footer_size(tail) :]))


def read_checked(
    data: bytes | None, path: str, columns: Sequence[str] | None = None, *, as_dictionary: Sequence[str] = ()
) -> pa.Table:
    """Read the rows of the file with these bytes, and compare each page that is read with its checksum.

    Pages of files that were written without checksums are not compared. Columns in `as_dictionary` stay
    dictionary-encoded. Raises DamagedFile, which names `path`, if the file cannot be read as it was written.
    """
    with _map_damage(path):
        return _open_checked(data, as_dictionary).read(None if columns is None else list(columns))


def read_row_groups(data: bytes, path: str) -> Iterator[pa.Table]:
    """Read a file as `read_checked` does, one row group at a time."""
    with _map_damage(path):
        file = _open_checked(data, ())
    for index in range(file.num_row_groups):
        with _map_damage(path):
            rows = file.read_row_group(index)
        yield rows


def _open_checked(data: bytes | None, as_dictionary: Sequence[str]) -> pq.ParquetFile:
    source = pa.BufferReader(data or b"")
    return pq.ParquetFile(source, read_dictionary=list(as_dictionary), page_checksum_verification=True)


@contextmanager
def _map_damage(path: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedFile(f"{path} is damaged ({error}): restore it or move it away") from error


def _leaf(column: pa.Field) -> str:
    """Return the name that Parquet uses: the elements of a list column have a separate path."""
    return f"{column.name}.list.element" if pa.types.is_list(column.type) else str(column.name)
