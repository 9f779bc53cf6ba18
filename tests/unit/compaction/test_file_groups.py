"""Raw files are grouped by hour, size and age."""

import pytest

from services.compaction.file_groups import CompactedFooter, GroupPolicy, RawFile, compacted_path, next_group
from shared.lake.slots.slot import ChainKey, parse_hour_folder
from shared.service.errors import NeedsAttention

HOUR = parse_hour_folder("date=2026-03-01/hour=12")
POLICY = GroupPolicy(target_bytes=100, older_than_s=60)
NOW_S = 1_000.0


def raw(first, hour=HOUR, size_bytes=10, age_s=0.0):
    return RawFile(first, hour, f"raw/{first}", size_bytes, NOW_S - age_s)


def test_an_hour_that_may_still_grow_waits():
    """Young files that no later file follows are left for a later pass."""
    assert next_group([raw(0), raw(10)], POLICY, NOW_S) == ()


def test_an_hour_is_closed_by_a_file_of_a_later_one():
    """The files before a file of a later hour are due, whatever their age and size."""
    files = [raw(0), raw(10), raw(20, HOUR + 1)]
    assert next_group(files, POLICY, NOW_S) == files[:2]


def test_a_turn_closes_its_hour():
    """A file without events belongs to the hour that it ends, and starts at the next file's first event."""
    turn, after = raw(10), raw(10, HOUR + 3)
    assert sorted([after, turn]) == [turn, after]
    assert next_group([raw(0), turn, after], POLICY, NOW_S) == [raw(0), turn]


def test_a_group_closes_at_its_size():
    """The file that reaches the target size is the last of its group; the hour need not end first."""
    files = [raw(0, size_bytes=60), raw(10, size_bytes=60), raw(20)]
    assert next_group(files, POLICY, NOW_S) == files[:2]
    assert next_group(files[:2], POLICY, NOW_S) == files[:2]


def test_a_quiet_hour_is_due_once_its_newest_file_is_old():
    """The files of a partition that fell silent are compacted too."""
    files = [raw(0, age_s=300), raw(10, age_s=60)]
    assert next_group(files, POLICY, NOW_S) == files
    assert next_group([raw(0, age_s=300), raw(10, age_s=59)], POLICY, NOW_S) == ()


def test_no_files_no_group():
    """A chain without files has nothing due."""
    assert next_group([], POLICY, NOW_S) == ()


def test_a_footer_is_read_back():
    """The footer of a compacted file is read as it was written."""
    footer = CompactedFooter(0, 9, 10, 2, 7, 1, 2, "2026-03-01T00:00:00Z")
    key_values = {name.encode(): text.encode() for name, text in footer.key_values().items()}
    assert CompactedFooter.from_key_values(key_values, "path") == footer


def test_a_foreign_footer_is_refused():
    """A file without compaction's key-values raises an error that names its path."""
    with pytest.raises(NeedsAttention, match="the/path"):
        CompactedFooter.from_key_values({b"first_seq": b"1"}, "the/path")


def test_a_slot_is_a_function_of_chain_hour_and_first_row():
    """Two compactions that begin at one event aim at one path; two hubs of one name never do."""
    chain, again = ChainKey("telemetry", 3), ChainKey("telemetry", 3, 2)
    assert compacted_path(chain, HOUR, 7) == (
        "compacted/telemetry/date=2026-03-01/hour=12/p03-00000000000000000007.parquet"
    )
    assert compacted_path(again, HOUR, 7) != compacted_path(chain, HOUR, 7)
