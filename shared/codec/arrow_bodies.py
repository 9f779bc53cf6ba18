"""Readers of Arrow IPC bodies that check the declared sizes before anything is decompressed or accessed.

A few kilobytes of compressed Arrow can declare gigabytes, and offsets that point outside their buffer end
the process on access. So the row count and the uncompressed size are read from the message's metadata first,
the schema must match the contract, and every batch must pass `validate(full=True)`.
Flatbuffers layout: Arrow columnar format, Message.fbs (Message: header_type=1, header=2; RecordBatch:
length=0, nodes=1, buffers=2, compression=3). A compressed buffer starts with its uncompressed length as
int64; -1 marks a buffer left uncompressed.
"""

import struct
from collections.abc import Callable
from functools import lru_cache, partial

import pyarrow as pa

from shared.service.errors import BadRecord

SchemaReader = Callable[[bytes], pa.Schema]
MAX_ROWS = 20_000
MAX_UNCOMPRESSED_BYTES = 32 * 2**20
CONTINUATION = b"\xff\xff\xff\xff"

_RECORD_BATCH_HEADER = 3
_BUFFER = struct.Struct("<qq")
_FRAME = struct.Struct("<4sI")


class _Table:
    """A flatbuffers table; its vtable locates the fields. A read outside the metadata raises struct.error."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position
        self._vtable = position - struct.unpack_from("<i", data, position)[0]
        self._vtable_size: int = struct.unpack_from("<H", data, self._vtable)[0]

    def _field(self, index: int) -> int | None:
        slot = 4 + 2 * index
        if slot >= self._vtable_size:
            return None
        (offset,) = struct.unpack_from("<H", self._data, self._vtable + slot)
        return self._position + offset if offset else None

    def scalar(self, index: int, form: str) -> int:
        at = self._field(index)
        return 0 if at is None else int(struct.unpack_from(form, self._data, at)[0])

    def reference(self, index: int) -> int | None:
        at = self._field(index)
        return None if at is None else at + int(struct.unpack_from("<I", self._data, at)[0])


def _uncompressed_bytes(batch: _Table, metadata: bytes, body: memoryview) -> int:
    buffers = batch.reference(2)
    if buffers is None:
        return 0
    if batch.reference(3) is None:
        return len(body)
    (count,) = struct.unpack_from("<I", metadata, buffers)
    total = 0
    for index in range(count):
        offset, length = _BUFFER.unpack_from(metadata, buffers + 4 + index * _BUFFER.size)
        declared = struct.unpack_from("<q", body, offset)[0] if length else 0
        total += length if declared == -1 else declared
        if declared < -1 or total > MAX_UNCOMPRESSED_BYTES:
            raise BadRecord(f"Arrow buffers declare more than {MAX_UNCOMPRESSED_BYTES} bytes")
    return total


def _check_bounds(message: pa.Message) -> int:
    """Return the number of rows that a record batch message declares.

    Raises BadRecord if the message is not a record batch or exceeds a bound.
    """
    metadata = message.metadata.to_pybytes()
    root = _Table(metadata, struct.unpack_from("<I", metadata)[0])
    header = root.reference(2)
    if header is None or root.scalar(1, "<B") != _RECORD_BATCH_HEADER:
        raise BadRecord("an Arrow body holds record batches alone (no dictionaries)")
    batch = _Table(metadata, header)
    rows = batch.scalar(0, "<q")
    if not 0 <= rows <= MAX_ROWS:
        raise BadRecord(f"an Arrow body holds at most {MAX_ROWS} rows, this one declares {rows}")
    if _uncompressed_bytes(batch, metadata, memoryview(message.body)) > MAX_UNCOMPRESSED_BYTES:
        raise BadRecord(f"an Arrow body holds at most {MAX_UNCOMPRESSED_BYTES} bytes uncompressed")
    return rows


def cached_schema_reader(expected: pa.Schema) -> SchemaReader:
    """Return a function that reads and checks the schema in a stream's first message.

    The function caches schemas, because a sender repeats the same schema bytes in every event. The cache is
    bounded, because the sender chooses these bytes.
    """
    return lru_cache(maxsize=64)(partial(_read_schema, expected))


def _read_schema(expected: pa.Schema, metadata: bytes) -> pa.Schema:
    head = _FRAME.pack(CONTINUATION, len(metadata))
    schema = pa.ipc.read_schema(pa.BufferReader(head + metadata))
    _check_schema(schema, expected)
    return schema


def read_batches(body: bytes, read_schema: SchemaReader) -> list[pa.RecordBatch]:
    """Return the validated batches of a body, including unknown columns of plain types.

    `read_schema` comes from `cached_schema_reader`: every expected column must have exactly the expected
    type, and only nullable columns may be absent. Raises BadRecord if the body breaks these rules, exceeds a
    bound or is not a valid Arrow IPC stream.
    """
    try:
        return _read_batches(pa.BufferReader(body), read_schema)
    except (pa.ArrowException, struct.error, EOFError, ValueError, OSError) as error:
        raise BadRecord(f"not an Arrow IPC stream: {error}") from error


def _read_batches(source: pa.BufferReader, read_schema: SchemaReader) -> list[pa.RecordBatch]:
    first = pa.ipc.read_message(source)
    if first.type != "schema":
        raise BadRecord("an Arrow body starts with its schema")
    schema = read_schema(first.metadata.to_pybytes())
    batches: list[pa.RecordBatch] = []
    rows = size_bytes = 0
    for message in iter(partial(_read_next_message, source), None):
        rows += _check_bounds(message)
        size_bytes += len(message.body)
        if rows > MAX_ROWS or size_bytes > MAX_UNCOMPRESSED_BYTES:
            raise BadRecord(f"an Arrow body holds at most {MAX_ROWS} rows")
        batch = pa.ipc.read_record_batch(message, schema)
        batch.validate(full=True)
        batches.append(batch)
    return batches


def _read_next_message(source: pa.BufferReader) -> pa.Message | None:
    try:
        return pa.ipc.read_message(source)
    except EOFError:
        return None


def _check_schema(schema: pa.Schema, expected: pa.Schema) -> None:
    if schema.equals(expected):
        return
    names, expected_names = set(schema.names), set(expected.names)
    if len(names) != len(schema):
        raise BadRecord("an Arrow body names a column twice")
    for field in expected:
        if field.name not in names:
            if not field.nullable:
                raise BadRecord(f"an Arrow body lacks the column {field.name}")
        elif schema.field(field.name).type != field.type:
            found = schema.field(field.name).type
            raise BadRecord(f"the Arrow column {field.name} is {found}, the contract says {field.type}")
    for field in schema:
        if field.name not in expected_names and (
            pa.types.is_nested(field.type) or pa.types.is_dictionary(field.type)
        ):
            raise BadRecord(f"the unknown Arrow column {field.name} is {field.type}, no plain type")


def write_stream(batch: pa.RecordBatch) -> bytes:
    """Encode one batch as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())
