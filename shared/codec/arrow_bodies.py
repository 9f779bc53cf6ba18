"""Readers of Arrow IPC bodies that check the declared sizes before anything is decompressed or accessed.

A few kilobytes of compressed Arrow can declare gigabytes, and offsets that point outside their buffer end
the process on access. So row counts and uncompressed sizes are read from the messages' metadata first, and
every batch must pass `validate(full=True)`.
Flatbuffers layout: Arrow columnar format, Message.fbs (Message: header_type=1, header=2; RecordBatch:
length=0, nodes=1, buffers=2, compression=3; DictionaryBatch: data=1). A compressed buffer starts with its
uncompressed length as int64; -1 marks a buffer left uncompressed.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import pyarrow as pa
import pyarrow.types as pat

from shared.service.errors import BadRecord

MAX_ROWS = 20_000
MAX_UNCOMPRESSED_BYTES = 32 * 2**20
CONTINUATION = b"\xff\xff\xff\xff"

_DICTIONARY_HEADER, _RECORD_BATCH_HEADER = 2, 3
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


@dataclass(frozen=True, slots=True)
class SenderSchema:
    """A stream's schema.

    It is regular if every known column has the contract's type and every unknown column a plain one: such
    batches can be joined, sliced and taken from. `has_dictionaries` is true if dictionaries come before the
    rows.
    """

    schema: pa.Schema
    is_regular: bool
    has_dictionaries: bool


SchemaReader = Callable[[bytes], SenderSchema]


class BodyLimits:
    """What a body may still hold: rows and uncompressed bytes, over all of its streams and batches."""

    def __init__(self) -> None:
        self._rows = 0
        self._size_bytes = 0

    def admit(self, rows: int, size_bytes: int) -> None:
        """Count a batch. Raises BadRecord if the body exceeds a limit with it."""
        self._rows += rows
        self._size_bytes += size_bytes
        if rows < 0 or self._rows > MAX_ROWS:
            raise BadRecord(f"an Arrow body holds at most {MAX_ROWS} rows, this one declares {self._rows}")
        if self._size_bytes > MAX_UNCOMPRESSED_BYTES:
            raise BadRecord(f"an Arrow body holds at most {MAX_UNCOMPRESSED_BYTES} bytes uncompressed")


@dataclass(frozen=True, slots=True)
class Stream:
    """One IPC stream of a body: its validated batches, and where it ends in the body."""

    sender: SenderSchema
    batches: list[pa.RecordBatch]
    end: int


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


def _admit_message(message: pa.Message, limits: BodyLimits) -> None:
    """Check what a record batch or a dictionary declares, before its buffers are touched.

    Raises BadRecord if the message is neither, or exceeds a limit.
    """
    metadata = message.metadata.to_pybytes()
    root = _Table(metadata, struct.unpack_from("<I", metadata)[0])
    header, kind = root.reference(2), root.scalar(1, "<B")
    if header is not None and kind == _DICTIONARY_HEADER:
        header = _Table(metadata, header).reference(1)
    if header is None or kind not in (_DICTIONARY_HEADER, _RECORD_BATCH_HEADER):
        raise BadRecord("an Arrow stream holds record batches and dictionaries alone")
    batch = _Table(metadata, header)
    rows = batch.scalar(0, "<q") if kind == _RECORD_BATCH_HEADER else 0
    limits.admit(rows, _uncompressed_bytes(batch, metadata, memoryview(message.body)))


def cached_schema_reader(expected: pa.Schema) -> SchemaReader:
    """Return a function that reads and checks the schema in a stream's first message.

    The function caches schemas, because a sender repeats the same schema bytes in every event. The cache is
    bounded, because the sender chooses these bytes.
    """
    return lru_cache(maxsize=64)(partial(_read_schema, expected))


def _read_schema(expected: pa.Schema, metadata: bytes) -> SenderSchema:
    head = _FRAME.pack(CONTINUATION, len(metadata))
    schema = pa.ipc.read_schema(pa.BufferReader(head + metadata))
    if len(set(schema.names)) != len(schema):
        raise BadRecord("an Arrow body names a column twice")
    for field in expected:
        if field.name not in schema.names and not field.nullable:
            raise BadRecord(f"an Arrow body lacks the column {field.name}")
    is_regular = all(
        field.type == expected.field(field.name).type
        if field.name in expected.names
        else _is_plain(field.type)
        for field in schema
    )
    return SenderSchema(schema, is_regular, any(map(_has_dictionary, (field.type for field in schema))))


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pat.is_primitive(kind) or pat.is_string(kind) or pat.is_large_string(kind))


def _has_dictionary(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _has_dictionary(kind.storage_type)
    children = [kind.field(index).type for index in range(kind.num_fields)]
    if pat.is_run_end_encoded(kind):
        children.append(kind.value_type)
    return bool(pat.is_dictionary(kind)) or any(map(_has_dictionary, children))


def read_stream(body: bytes, at: int, read_schema: SchemaReader, limits: BodyLimits) -> Stream:
    """Return the stream of a body that begins at `at`.

    `read_schema` comes from `cached_schema_reader`. Raises BadRecord if the stream is not valid, exceeds a
    limit or lacks a column that the contract requires.
    """
    try:
        return _read_stream(pa.py_buffer(body)[at:], at, read_schema, limits)
    except (pa.ArrowException, struct.error, EOFError, ValueError, OSError) as error:
        raise BadRecord(f"not an Arrow IPC stream: {error}") from error


def _read_stream(data: pa.Buffer, at: int, read_schema: SchemaReader, limits: BodyLimits) -> Stream:
    source = pa.BufferReader(data)
    first = pa.ipc.read_message(source)
    if first.type != "schema":
        raise BadRecord("an Arrow body starts with its schema")
    sender = read_schema(first.metadata.to_pybytes())
    batches: list[pa.RecordBatch] = []
    for message in iter(partial(_read_next_message, source), None):
        _admit_message(message, limits)
        if not sender.has_dictionaries:
            batches.append(pa.ipc.read_record_batch(message, sender.schema))
    end = source.tell()
    if sender.has_dictionaries:
        batches = list(pa.ipc.open_stream(data[:end]))
    for batch in batches:
        batch.validate(full=True)
    return Stream(sender, batches, at + end)


def _read_next_message(source: pa.BufferReader) -> pa.Message | None:
    try:
        return pa.ipc.read_message(source)
    except EOFError:
        return None


def write_stream(batch: pa.RecordBatch) -> bytes:
    """Encode one batch as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())
