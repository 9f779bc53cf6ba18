import pytest

from services.cli.verify.chain import ChainKey, Footer, Link, Root, find_chain_faults, parse_root, parse_slot

HOUR, LATER = "date=2026-03-01/hour=12", "date=2026-03-01/hour=13"
ROOT = Root("then", 0, HOUR)


def link(first, next_first, folder=HOUR, next_folder=HOUR, created_at="then"):
    slot = parse_slot(f"raw/telemetry/{folder}/p03-{first:020d}.parquet")
    return Link(slot, Footer(next_first - 1, next_first, next_folder, 0, 0, "", created_at))


def faults(root, *links):
    return list(find_chain_faults(ChainKey(3), root, links))


def test_a_whole_chain_has_no_faults():
    """Files that follow each other are sound, in any order of listing, through a change of the hour too."""
    turn = link(20, 20, next_folder=LATER)
    assert faults(ROOT, link(20, 30, LATER, LATER), turn, link(10, 20), link(0, 10)) == []


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ([link(0, 10), link(12, 20)], "events 10 to 11 are in no file"),
        ([link(0, 10), link(8, 20)], "overlaps"),
        ([link(5, 20)], "events 0 to 4 are in no file"),
        ([link(0, 10), link(10, 20, LATER)], "wrong folder"),
        ([link(0, 10), link(10, 20, created_at="now")], "created at another time than the file before"),
        ([link(0, 10, created_at="now")], "created at another time than the chain's root"),
    ],
)
def test_the_fault_of_a_broken_chain_is_named(links, message):
    """A gap, an overlap, a lost first file, a wrong folder and another hub's file are each named."""
    (fault,) = faults(ROOT, *links)
    assert message in fault


def test_files_without_a_root_are_a_fault():
    """A chain whose root is gone is not trusted."""
    assert "no root" in faults(None, link(0, 10))[0]


def test_paths_hold_partition_and_generation():
    """A re-created hub's files are in a chain of their own."""
    assert parse_slot(f"raw/telemetry/{HOUR}/p12-g2-{7:020d}.parquet").chain == ChainKey(12, 2)
    assert parse_root("raw/telemetry/_chain/p12-g2.json") == ChainKey(12, 2)
    assert parse_slot("raw/telemetry/p00.parquet") is None
    assert parse_root(f"raw/telemetry/{HOUR}/p12.json") is None


def test_a_footer_that_lacks_a_key_is_no_footer():
    """A Parquet file of another program is not read as a link."""
    with pytest.raises(KeyError):
        Footer.from_metadata({b"last_seq": b"1"})
