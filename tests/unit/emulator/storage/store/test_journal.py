import pytest

from services.emulator.storage.model.entries import Entry
from services.emulator.storage.model.records import PathRemoved, PathSet
from services.emulator.storage.store.journal import Journal
from shared.service.errors import NeedsAttention

RECORDS = [PathSet("lake", f"p{index}", Entry(index, 1, 2, metadata={"n": "ö\n"})) for index in range(5)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal"


def write(path, records):
    journal = Journal(path, fsync=False)
    found = journal.open()
    for record in records:
        journal.append(record)
    journal.close()
    return found


def test_what_was_appended_is_read_again(path):
    """Every appended record is read after a restart."""
    assert write(path, RECORDS) == []
    assert write(path, [PathRemoved("lake", "p0")]) == RECORDS
    assert write(path, []) == [*RECORDS, PathRemoved("lake", "p0")]


def test_a_torn_last_line_is_cut_off(path):
    """Wherever the last write was cut, the records before it are read and later ones follow them."""
    write(path, RECORDS)
    whole = path.read_bytes()
    last_line = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(last_line, len(whole)):
        path.write_bytes(whole[:cut])
        assert write(path, [RECORDS[4]]) == RECORDS[:4]
        assert path.read_bytes() == whole


def test_damage_in_the_middle_is_not_passed_over(path):
    """A journal that is damaged in the middle is refused, with the remedy."""
    write(path, RECORDS)
    damaged = path.read_bytes().replace(b"p1", b"q1")
    path.write_bytes(damaged)
    with pytest.raises(NeedsAttention, match="line 2"):
        write(path, [])


def test_a_record_can_be_withdrawn(path):
    """A record whose change failed on disk is removed again."""
    journal = Journal(path, fsync=True)
    journal.open()
    journal.append(RECORDS[0])
    mark = journal.append(RECORDS[1])
    journal.roll_back(mark)
    journal.append(RECORDS[2])
    journal.close()
    assert write(path, []) == [RECORDS[0], RECORDS[2]]


def test_a_rewritten_journal_goes_on(path):
    """After a rewrite the journal holds the given records, and appends follow them."""
    journal = Journal(path, fsync=False)
    journal.open()
    for record in RECORDS:
        journal.append(record)
    journal.rewrite(RECORDS[3:])
    journal.append(RECORDS[0])
    assert journal.record_count == 3
    journal.close()
    assert write(path, []) == [*RECORDS[3:], RECORDS[0]]
