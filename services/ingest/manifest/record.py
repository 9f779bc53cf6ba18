"""A record of the manifest: a CloudEvent on a committed file, in the terms of Event Hubs Capture (pure).

`data` has the fields of Capture's CaptureFileCreated under Capture's names, and further fields of this
project. `id` is the file's path, so a record that is sent twice has the same id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import pyarrow.parquet as pq
from msgspec import Struct

from shared.lake.slots.footer import Footer
from shared.lake.slots.slot import ChainKey

CONTENT_TYPE = "application/cloudevents+json"
_TYPE = "fleetprice.RawFileCommitted"
_ENQUEUED_AT = "enqueued_at"


@dataclass(frozen=True, slots=True)
class CommittedFile:
    """A file of a chain and its place in the lake."""

    path: str
    url: str
    size_bytes: int
    committed_at: datetime
    footer: Footer
    first_enqueued_at: datetime | None
    last_enqueued_at: datetime | None


class _Data(Struct):
    path: str


class _Record(Struct):
    type: str
    data: _Data


def encode_record(hub: str, chain: ChainKey, file: CommittedFile) -> bytes:
    """Return the body of the event for a committed file."""
    record = {
        "specversion": "1.0",
        "type": _TYPE,
        "source": hub,
        "subject": f"{chain.stream}/{chain.label}",
        "id": file.path,
        "time": file.committed_at,
        "datacontenttype": "application/json",
        "data": _encode_data(chain, file),
    }
    return msgspec.json.encode(record)


def parse_path(body: bytes) -> str | None:
    """Return the file's path in a record; None if the body is not a record."""
    try:
        record = msgspec.json.decode(body, type=_Record)
    except msgspec.MsgspecError:
        return None
    return record.data.path if record.type == _TYPE else None


def read_enqueued_range(metadata: pq.FileMetaData) -> tuple[datetime | None, datetime | None]:
    """Return the enqueued times of a file's first and last events; both are None if the file has no rows."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    found = [
        column.statistics
        for group in groups
        for index in range(group.num_columns)
        if (column := group.column(index)).path_in_schema == _ENQUEUED_AT
        and column.statistics is not None
        and column.statistics.has_min_max
    ]
    return min((one.min for one in found), default=None), max((one.max for one in found), default=None)


def _encode_data(chain: ChainKey, file: CommittedFile) -> Mapping[str, Any]:
    footer = file.footer
    return {
        "fileUrl": file.url,
        "fileType": "AzureBlockBlob",
        "partitionId": str(chain.partition),
        "sizeInBytes": file.size_bytes,
        "eventCount": footer.last_seq - footer.first_seq + 1 - footer.gap,
        "firstSequenceNumber": footer.first_seq,
        "lastSequenceNumber": footer.last_seq,
        "firstEnqueueTime": file.first_enqueued_at,
        "lastEnqueueTime": file.last_enqueued_at,
        "path": file.path,
        "format": "parquet",
        "stream": chain.stream,
        "generation": chain.generation,
        "rowCount": footer.rows,
        "badCount": footer.bad,
        "deadLetter": footer.dead_letter or None,
        "gapCount": footer.gap,
        "schemaVersion": footer.schema_version,
        "hubCreatedAt": footer.created_at,
    }
