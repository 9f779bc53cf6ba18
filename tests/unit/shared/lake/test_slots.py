"""The next slot is a function of committed files alone: paths, footers and folders."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.contract.columns import PREDICTION, READING
from shared.lake.parquet import FOOTER_READ_BYTES, encode, footer_size, read_metadata
from shared.lake.slots.footer import Footer, Head
from shared.lake.slots.slot import (
    ChainKey,
    StagedFile,
    hour_folder,
    parse_hour_folder,
    parse_root_name,
    parse_slot_name,
    parse_staged_name,
)
from shared.service.errors import NeedsAttention
from tests.support.lake_files import FOOTER, HOUR


def test_a_slot_is_named_by_its_first_event():
    """The path of a file names stream, hour, partition and first sequence number, not the writer."""
    assert hour_folder(HOUR) == "date=2026-09-20/hour=00"
    path = ChainKey("telemetry", 3).slot(HOUR, 10)
    assert path == "raw/telemetry/date=2026-09-20/hour=00/p03-00000000000000000010.parquet"
    assert parse_slot_name("telemetry", path.rpartition("/")[2]) == (ChainKey("telemetry", 3), 10)


def test_a_new_generation_has_its_own_paths():
    """A re-created hub's files never meet those of the hub before it."""
    chain = ChainKey("telemetry", 112, 2)
    name = chain.slot(HOUR, 0).rpartition("/")[2]
    assert name == "p112-g2-00000000000000000000.parquet"
    assert parse_slot_name("telemetry", name) == (chain, 0)
    assert parse_root_name("telemetry", chain.root.rpartition("/")[2]) == chain


def test_a_staged_file_names_its_slot():
    """The name of a staged file alone identifies the slot it was written for."""
    chain = ChainKey("telemetry", 3)
    name = chain.staged(HOUR, 10, "a1").rpartition("/")[2]
    assert parse_staged_name("telemetry", name) == StagedFile(chain, HOUR, 10, "a1")


@pytest.mark.parametrize("name", ["part-0.parquet", "p03-10.parquet", "_delta_log", "p03.json.tmp"])
def test_foreign_files_are_left_alone(name):
    """Files that others put into the folders belong to no chain."""
    assert parse_slot_name("telemetry", name) is None
    assert parse_root_name("telemetry", name) is None
    assert parse_staged_name("telemetry", name) is None


@pytest.mark.parametrize("hour", [0, HOUR, HOUR + 23])
def test_folders_and_hours_match_one_to_one(hour):
    """A folder names its hour and an hour its folder, and folders sort as their hours do."""
    assert parse_hour_folder(hour_folder(hour)) == hour
    assert hour_folder(hour) < hour_folder(hour + 1)
    with pytest.raises(ValueError, match="date="):
        parse_hour_folder("date=2026-1-1/hour=0")


@pytest.mark.parametrize("contract", [READING, PREDICTION])
def test_a_footer_is_read_back_from_the_tail(contract):
    """The last 64 KB of a file hold all that is needed to continue its chain."""
    data = encode(contract.raw_schema.empty_table(), FOOTER)

    footer = Footer.from_key_values(read_metadata(data[-FOOTER_READ_BYTES:]).metadata, "path")

    assert footer == FOOTER
    assert footer.head == Head(20, HOUR + 1, "1234")
    metadata = pq.read_metadata(pa.BufferReader(data)).metadata
    assert metadata[b"next_first"] == b"20"
    assert metadata[b"next_folder"] == b"date=2026-09-20/hour=01"
    assert pq.read_schema(pa.BufferReader(data)).remove_metadata() == contract.raw_schema


def test_a_foreign_file_in_a_slot_needs_a_person():
    """Parquet without our footer, or a file that is not Parquet, raises an error that names its path."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1]}), sink)
    with pytest.raises(NeedsAttention, match="the/path"):
        Footer.from_key_values(read_metadata(bytes(sink.getvalue())).metadata, "the/path")
    with pytest.raises(ValueError, match="not Parquet"):
        footer_size(b"0123456789")
