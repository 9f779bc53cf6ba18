"""What of a commit others were first with."""

import pyarrow as pa
import pytest

from services.compaction.table_commit import ChainCommit, NewFile, select_new_files
from shared.lake.slots.slot import ChainKey
from shared.service.errors import SinkUnavailable

LANE = ChainKey("telemetry", 0)


def new(first, next_first):
    return NewFile(0, first, next_first, f"{first}.parquet", 1, 0.0, pa.schema([]), "{}")


A, B = new(0, 10), new(12, 20)
BOTH = ChainCommit(LANE, 0, 20, [A, B])


def test_what_nobody_was_first_with_is_new():
    """The table stands where this compaction found it."""
    assert select_new_files(BOTH, 0) == [A, B]
    assert select_new_files(ChainCommit(LANE, None, 20, [A, B]), None) == [A, B]


@pytest.mark.parametrize("standing", [10, 12])
def test_files_that_another_added_are_left_out(standing):
    """Of two files the first is in the table; events 10 and 11 have no rows."""
    assert select_new_files(BOTH, standing) == [B]


@pytest.mark.parametrize("standing", [20, 25])
def test_a_table_that_is_further_needs_nothing(standing):
    """Not even its position is written again: it would go back."""
    assert select_new_files(BOTH, standing) is None


def test_another_may_have_made_the_table():
    """A chain that was in no table when this compaction began may be in one now."""
    assert select_new_files(ChainCommit(LANE, None, 20, [A, B]), 10) == [B]


@pytest.mark.parametrize("standing", [5, 15])
def test_a_cut_in_the_middle_of_a_file_adds_nothing(standing):
    """A file of which the table has a part can be added neither whole nor not at all."""
    with pytest.raises(SinkUnavailable, match=f"goes on at {standing}"):
        select_new_files(BOTH, standing)


def test_a_table_that_went_back_adds_nothing():
    """Somebody restored it: what lies between is in no file of this compaction."""
    with pytest.raises(SinkUnavailable, match="went back to 4"):
        select_new_files(ChainCommit(LANE, 10, 20, [B]), 4)


def test_a_table_that_was_made_anew_adds_nothing():
    """Somebody deleted it: the chain has to be gone through from its root."""
    with pytest.raises(SinkUnavailable, match="forgot p00"):
        select_new_files(ChainCommit(LANE, 10, 20, [B]), None)
