"""Which raw files become one."""

import pytest

from services.compaction.file_groups import Covered, Policy, RawFile, compacted_path, next_group
from shared.lake.slots.slot import ChainKey, parse_hour_folder
from shared.service.errors import NeedsAttention

HOUR = parse_hour_folder("date=2026-03-01/hour=12")
POLICY = Policy(target_bytes=100, older_than_s=60)
NOW_S = 1_000.0


def raw(first, hour=HOUR, size_bytes=10, age_s=0.0):
    return RawFile(first, hour, f"raw/{first}", size_bytes, NOW_S - age_s)


def test_an_hour_that_may_still_grow_waits():
    """Nothing follows and nothing is old: the files are left for later."""
    assert next_group([raw(0), raw(10)], POLICY, NOW_S) == ()


def test_an_hour_is_closed_by_a_file_of_a_later_one():
    """What stands before it is taken, whatever its age and size."""
    files = [raw(0), raw(10), raw(20, HOUR + 1)]
    assert next_group(files, POLICY, NOW_S) == files[:2]


def test_a_turn_closes_its_hour():
    """A file without events belongs to the hour that it ends, and starts where the next one does."""
    turn, after = raw(10), raw(10, HOUR + 3)
    assert sorted([after, turn]) == [turn, after]
    assert next_group([raw(0), turn, after], POLICY, NOW_S) == [raw(0), turn]


def test_a_stretch_closes_at_its_size():
    """The file that reaches the target is the last one, and nobody waits for the hour's end."""
    files = [raw(0, size_bytes=60), raw(10, size_bytes=60), raw(20)]
    assert next_group(files, POLICY, NOW_S) == files[:2]
    assert next_group(files[:2], POLICY, NOW_S) == files[:2]


def test_a_quiet_hour_is_taken_once_its_newest_file_is_old():
    """A partition that fell silent is compacted too."""
    files = [raw(0, age_s=300), raw(10, age_s=60)]
    assert next_group(files, POLICY, NOW_S) == files
    assert next_group([raw(0, age_s=300), raw(10, age_s=59)], POLICY, NOW_S) == ()


def test_no_files_no_stretch():
    """An empty chain has nothing due."""
    assert next_group([], POLICY, NOW_S) == ()


def test_what_is_covered_survives_the_footer():
    """A compacted file's footer is read as it was written."""
    covered = Covered(0, 9, 10, 2, 7, 1, 2, "2026-03-01T00:00:00Z")
    key_values = {name.encode(): text.encode() for name, text in covered.key_values().items()}
    assert Covered.from_key_values(key_values, "path") == covered


def test_a_strangers_footer_is_refused():
    """A file that lacks what compaction writes is named."""
    with pytest.raises(NeedsAttention, match="the/path"):
        Covered.from_key_values({b"first_seq": b"1"}, "the/path")


def test_a_slot_is_a_function_of_chain_hour_and_first_row():
    """Two compactions that begin at one place aim at one path; hubs of one name do not meet."""
    chain, again = ChainKey("telemetry", 3), ChainKey("telemetry", 3, 2)
    assert compacted_path(chain, HOUR, 7) == (
        "compacted/telemetry/date=2026-03-01/hour=12/p03-00000000000000000007.parquet"
    )
    assert compacted_path(again, HOUR, 7) != compacted_path(chain, HOUR, 7)
