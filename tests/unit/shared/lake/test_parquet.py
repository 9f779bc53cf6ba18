"""The files of the lake are Parquet that every reader takes, and that tells of damage."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.contract.columns import PREDICTION, READING
from shared.contract.json_schema import contract_from_schema
from shared.lake.parquet import encode, read_checked
from shared.service.errors import DamagedFile
from tests.support.lake_files import FOOTER, VISITS, make_rows

OWN = contract_from_schema("visits", json.dumps(VISITS).encode())
CONTRACTS = pytest.mark.parametrize("contract", [READING, PREDICTION, OWN], ids=lambda one: one.name)


def encoded(table):
    return encode(table, replace(FOOTER, rows=table.num_rows, last_seq=FOOTER.first_seq + table.num_rows - 1))


def pages_of(data):
    """Yield each column of the only row group, and where its pages end in the file."""
    metadata = pq.read_metadata(pa.BufferReader(data))
    for index in range(metadata.num_columns):
        chunk = metadata.row_group(0).column(index)
        start = min(one for one in (chunk.data_page_offset, chunk.dictionary_page_offset) if one)
        yield chunk, start + chunk.total_compressed_size


@CONTRACTS
def test_values_are_plain_or_in_dictionaries(contract):
    """No column has an encoding that Spark, Synapse, Power BI or fastparquet may refuse."""
    for chunk, _ in pages_of(encoded(make_rows(contract.raw_schema))):
        assert set(chunk.encodings) <= {"PLAIN", "RLE", "RLE_DICTIONARY"}, chunk.path_in_schema


def is_read_without_checksums(data):
    try:
        pq.ParquetFile(pa.BufferReader(data)).read()
    except (pa.ArrowException, OSError):
        return False
    return True


@CONTRACTS
def test_a_changed_byte_in_any_column_is_found(contract):
    """The checksums tell of a changed byte in any column, even if its values can still be decoded."""
    table = make_rows(contract.raw_schema)
    data = encoded(table)
    assert read_checked(data, "raw/file").replace_schema_metadata() == table
    silent = 0
    for _, end in pages_of(data):
        changed = bytearray(data)
        changed[end - 1] ^= 1
        silent += is_read_without_checksums(changed)
        with pytest.raises(DamagedFile, match="raw/file is damaged"):
            read_checked(bytes(changed), "raw/file")
    assert silent


@pytest.mark.parametrize("data", [None, b"", b"PAR1", b"no Parquet at all"])
def test_what_is_no_parquet_is_damaged(data):
    """A file that is missing, empty or something else raises an error that names it."""
    with pytest.raises(DamagedFile, match="raw/file"):
        read_checked(data, "raw/file")


@pytest.mark.parametrize("encoding", ["BYTE_STREAM_SPLIT", "DELTA_BINARY_PACKED", "DELTA_BYTE_ARRAY"])
def test_files_of_earlier_releases_are_read(encoding):
    """A file with the encodings that earlier releases wrote, and without checksums, is read."""
    value = {"BYTE_STREAM_SPLIT": 1.5, "DELTA_BINARY_PACKED": 7, "DELTA_BYTE_ARRAY": "x"}[encoding]
    table, sink = pa.table({"a": [value] * 100}), pa.BufferOutputStream()
    pq.write_table(table, sink, use_dictionary=False, column_encoding=encoding)
    assert read_checked(sink.getvalue().to_pybytes(), "raw/file") == table
