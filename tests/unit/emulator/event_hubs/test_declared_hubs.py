import pytest

from services.emulator.event_hubs.declared_hubs import DeclaredHub, declare
from services.emulator.event_hubs.hubs import HubRegistry
from services.emulator.log.partition_log import PartitionLog
from shared.service.errors import NeedsAttention


@pytest.fixture
def hubs(tmp_path):
    registry = HubRegistry(tmp_path, PartitionLog)
    yield registry
    registry.close()


def describe_all(hubs):
    return {hub.name: (len(hub.logs), hub.description.consumer_groups) for hub in hubs}


def test_the_hubs_that_are_always_there(hubs):
    """Without any declaration there are telemetry and predictions, with the groups of our services."""
    declare(hubs, ())
    ours = (4, ("$Default", "ingest", "scorer"))
    assert describe_all(hubs) == {"telemetry": ours, "predictions": ours}


def test_declared_hubs_come_beside_them(hubs):
    """A declared telemetry has the declared partitions, and our groups too."""
    declare(hubs, [DeclaredHub("orders", 2), DeclaredHub("Telemetry", 8, ("$Default", "mine"))])
    found = describe_all(hubs)
    assert found["orders"] == (2, ("$Default",))
    assert found["Telemetry"][0] == 8
    assert set(found["Telemetry"][1]) == {"$Default", "ingest", "scorer", "mine"}
    assert set(found) == {"orders", "Telemetry", "predictions"}


def test_a_second_start_keeps_hubs_and_adds_groups(hubs):
    """A hub that is there keeps its identity, retention and groups; a group is never taken away."""
    before = hubs.create("orders", 2, ["old"], retention_hours=3).description
    declare(hubs, [DeclaredHub("ORDERS", 2, ("$Default", "OLD", "new"))])
    after = hubs.find("orders").description
    assert (after.name, after.created_at_ms, after.retention_hours) == ("orders", before.created_at_ms, 3)
    assert after.consumer_groups == ("$Default", "old", "new")


def test_a_hub_where_every_group_exists_stays_so(hubs):
    """A list would take groups away."""
    hubs.create("orders", 2)
    declare(hubs, [DeclaredHub("orders", 2, ("$Default", "new"))])
    assert hubs.find("orders").description.consumer_groups is None


def test_other_partitions_are_refused_before_anything_is_made(hubs):
    """The sentence names the hub and both counts."""
    hubs.create("orders", 2)
    with pytest.raises(NeedsAttention, match="hub orders has 2 partitions, 4 are declared"):
        declare(hubs, [DeclaredHub("first", 1), DeclaredHub("orders", 4)])
    assert set(describe_all(hubs)) == {"orders"}
