import json

import pytest

from services.emulator.event_hubs.hub_description import HubKey, HubRefused
from services.emulator.event_hubs.hubs import HubRegistry, HubUnknown
from services.emulator.event_hubs.sas import LISTEN, MANAGE, SEND
from services.emulator.log.partition_log import PartitionLog
from shared.service.errors import NeedsAttention

ALL_CLAIMS = (LISTEN, SEND, MANAGE)


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
    """Deleting deletes the events too; a new hub of the same name is empty and has another created_at."""
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


def test_a_hubs_own_keys_are_kept_with_it(directory):
    """Keys survive a restart and a second request that names none; an empty list takes them away."""
    keys = [HubKey("mine", "secret", ("Listen",)), HubKey("boss", "other", ("Manage",))]
    hubs = registry(directory)
    hubs.create("H", keys=keys)
    hubs.create("H", retention_hours=5)
    hubs.close()
    hubs = registry(directory)
    assert hubs.find("h").description.keys == tuple(keys)
    assert [(key.scope, key.claims) for key in hubs.own_keys()] == [("h", {"Listen"}), ("h", set(ALL_CLAIMS))]
    assert (directory / "h" / "hub.json").stat().st_mode & 0o077 == 0
    hubs.create("H", keys=[])
    assert hubs.own_keys() == []
    hubs.close()


def test_a_hub_of_before_there_were_keys_has_none(directory):
    """A hub.json of an older version is read."""
    hubs = registry(directory)
    hubs.create("h")
    hubs.close()
    path = directory / "h" / "hub.json"
    older = json.loads(path.read_text())
    del older["keys"]
    path.write_text(json.dumps(older))
    hubs = registry(directory)
    assert hubs.find("h").keys == []
    hubs.close()


@pytest.mark.parametrize(
    "keys",
    [
        [HubKey("", "x")],
        [HubKey("a", "")],
        [HubKey("a", "x", ())],
        [HubKey("a", "x"), HubKey("a", "y")],
        [HubKey(str(number), "x") for number in range(13)],
    ],
)
def test_keys_that_are_none_are_refused(directory, keys):
    """A key has a name of its own, a value and a claim, and there are at most twelve."""
    with pytest.raises(HubRefused):
        registry(directory).create("h", keys=keys)


def test_no_two_hubs_are_the_same(directory, monkeypatch):
    """A hub deleted and made again has a later created_at, though the clock stands still or was set back."""
    monkeypatch.setattr("time.time_ns", lambda: 1_000_000_000)
    hubs = registry(directory)
    times = []
    for _ in range(3):
        times.append(hubs.create("h", 1).description.created_at_ms)
        hubs.delete("h")
    assert times == [1000, 1001, 1002]


def test_a_deleted_hub_is_not_written_to(directory):
    """A log of a deleted hub that is still open cannot write into a new hub of the same name."""
    hubs = registry(directory)
    event = (b"", b"", 0, b"\x00\x53\x75\xa0\x00")
    old = hubs.create("h", 1).logs[0]
    hubs.delete("h")
    new = hubs.create("h", 1).logs[0]
    with pytest.raises(OSError, match="The log was deleted"):
        old.append([event], 1)
    assert not list(directory.rglob("*.log"))
    new.append([event], 1)
    assert new.next_sequence == 1
    hubs.close()


def test_a_broken_description_is_named(directory):
    """A hub.json that cannot be read ends the start with one line that names it."""
    hubs = registry(directory)
    hubs.create("h", 1)
    hubs.close()
    (directory / "h" / "hub.json").write_text("{")
    with pytest.raises(NeedsAttention, match=r"h/hub\.json cannot be read"):
        registry(directory)
