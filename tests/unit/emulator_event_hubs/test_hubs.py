import pytest

from services.emulator.event_hubs.hubs import HubRefused, HubRegistry, HubUnknown
from services.emulator.event_hubs.partition_log import PartitionLog


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "event_hubs"


def registry(directory):
    return HubRegistry(directory, PartitionLog)


def test_a_hub_keeps_its_identity(directory):
    """created_at, partitions and groups are the same after a restart."""
    hubs = registry(directory)
    made = hubs.create("Telemetry", 3, ["readers"], 12).description
    hubs.close()
    hubs = registry(directory)
    assert hubs.find("telemetry").description == made
    assert made.consumer_groups == ("$Default", "readers")
    assert len(hubs.find("TELEMETRY").logs) == 3
    hubs.close()


def test_making_a_hub_twice_is_one_hub(directory):
    """A second request gives the same hub; its groups may change, its partitions may not."""
    hubs = registry(directory)
    first = hubs.create("h", 2)
    again = hubs.create("h", 2, ["g"])
    assert first is again
    assert again.has_group("G")
    assert not again.has_group("other")
    with pytest.raises(HubRefused, match="2 partitions"):
        hubs.create("h", 4)
    hubs.close()


def test_without_a_list_every_group_exists(directory):
    """A hub made without consumer groups is open to any."""
    hubs = registry(directory)
    assert hubs.create("h").has_group("whatever")
    hubs.close()


def test_a_deleted_hub_is_gone(directory):
    """Deleting takes the events too; a hub of the same name begins anew, with another created_at."""
    hubs = registry(directory)
    old = hubs.create("h", 1)
    old.logs[0].append([(b"", b"", 0, b"\x00\x53\x75\xa0\x00")], 1)
    hubs.delete("H")
    assert hubs.find("h") is None
    assert list(directory.iterdir()) == []
    with pytest.raises(HubUnknown):
        hubs.delete("h")
    assert hubs.create("h", 1).logs[0].state().is_empty
    hubs.close()


def test_half_deleted_hubs_are_swept_up(directory):
    """A crash in the middle of a deletion leaves nothing behind after the next start."""
    (directory / ".deleted-x" / "0").mkdir(parents=True)
    hubs = registry(directory)
    assert list(hubs) == []
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../up", "a/b", "-a", ".deleted-", "a" * 300, "a b", "a\n"])
def test_names_that_are_no_names_are_refused(directory, name):
    """A name never leaves the directory."""
    with pytest.raises(HubRefused):
        registry(directory).create(name)


@pytest.mark.parametrize(
    "arguments", [{"partition_count": 0}, {"partition_count": 5000}, {"retention_hours": 0}]
)
def test_impossible_hubs_are_refused(directory, arguments):
    """Counts and ages have bounds."""
    with pytest.raises(HubRefused):
        registry(directory).create("h", **arguments)


@pytest.mark.parametrize(
    ("partition_id", "number"), [("0", 0), ("3", 3), ("4", None), ("-1", None), ("00", None)]
)
def test_partition_ids(directory, partition_id, number):
    """A partition's id is its number and nothing else."""
    hubs = registry(directory)
    assert hubs.create("h").partition(partition_id) == number
    hubs.close()
