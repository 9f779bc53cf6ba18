"""Files that another compaction added first are left out of a commit."""

import pyarrow as pa
import pytest

from services.compaction.table_commit import ChainCommit, NewFile, select_new_files
from shared.lake.slots.slot import ChainKey
from shared.service.errors import SinkUnavailable

CHAIN = ChainKey("telemetry", 0)


def new(first, next_first):
    return NewFile(0, first, next_first, f"{first}.parquet", 1, 0.0, pa.schema([]), "{}")


A, B = new(0, 10), new(12, 20)
BOTH = ChainCommit(CHAIN, 0, 20, [A, B])


def test_all_files_are_new_to_an_unchanged_table():
    """If the table's position is the one that this compaction read, all files are added."""
    assert select_new_files(BOTH, 0) == [A, B]
    assert select_new_files(ChainCommit(CHAIN, None, 20, [A, B]), None) == [A, B]


@pytest.mark.parametrize("position", [10, 12])
def test_files_that_another_added_are_left_out(position):
    """Of two files, the first is in the table already; events 10 and 11 have no rows."""
    assert select_new_files(BOTH, position) == [B]


@pytest.mark.parametrize("position", [20, 25])
def test_a_table_that_is_further_needs_nothing(position):
    """If the table is further, nothing is added and its position is not written: it would go back."""
    assert select_new_files(BOTH, position) is None


def test_another_compaction_may_have_begun_the_chain():
    """A chain without a position when this compaction began may have one now."""
    assert select_new_files(ChainCommit(CHAIN, None, 20, [A, B]), 10) == [B]


@pytest.mark.parametrize("position", [5, 15])
def test_a_cut_in_the_middle_of_a_file_adds_nothing(position):
    """A position within a file raises SinkUnavailable: the table has a part of the file's rows."""
    with pytest.raises(SinkUnavailable, match=f"goes on at {position}"):
        select_new_files(BOTH, position)


def test_a_table_that_went_back_adds_nothing():
    """If the table was restored to an older version, the commit raises SinkUnavailable."""
    with pytest.raises(SinkUnavailable, match="went back to 4"):
        select_new_files(ChainCommit(CHAIN, 10, 20, [B]), 4)


def test_a_table_that_was_created_again_adds_nothing():
    """If the table was deleted, the commit raises SinkUnavailable: the chain starts at its root again."""
    with pytest.raises(SinkUnavailable, match="forgot p00"):
        select_new_files(ChainCommit(CHAIN, 10, 20, [B]), None)
