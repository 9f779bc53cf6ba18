"""How many pods there are, and who decides."""

import re

import pytest

from deploy.k8s.checks.kubectl import ROOT
from services.emulator.event_hubs.declared_hubs import FROM_THE_START, DeclaredHub
from services.ingest.settings import IngestSettings
from services.scorer.stream.stream import GROUP
from shared.service.settings import ConnectionSettings
from tests.support.overlays import (
    MANIFESTS,
    OVERLAYS,
    config_of,
    needs_kubectl,
    of_kind,
    rendered,
    resources,
    workload,
)

pytestmark = needs_kubectl

WORLD = ConnectionSettings()
# Who reads which hub with which consumer group.
READERS = {
    "ingest": {
        (WORLD.telemetry_hub, IngestSettings().consumer_group),
        (WORLD.predictions_hub, IngestSettings().consumer_group),
    },
    "scorer-stream": {(WORLD.telemetry_hub, GROUP)},
}
LOCAL_PARTITIONS = 4


def partitions_of_the_guide():
    """What docs/deploy.md has both hubs made with."""
    guide = (ROOT / "docs" / "deploy.md").read_text()
    (number,) = re.findall(r"^PARTITIONS=(\d+)", guide, re.MULTILINE)
    assert "--partition-count $PARTITIONS" in guide
    return int(number)


@pytest.mark.parametrize("name", READERS)
def test_there_are_never_more_readers_than_partitions(name):
    """A pod more would own nothing and never be ready; a hub's every partition can have a pod of its own."""
    scaled = resources("azure")["ScaledObject", name]["spec"]
    assert scaled["scaleTargetRef"] == {"name": name}
    assert scaled["maxReplicaCount"] == partitions_of_the_guide()
    assert 1 <= scaled["minReplicaCount"] <= scaled["maxReplicaCount"]
    assert 1 <= scaled["fallback"]["replicas"] <= scaled["maxReplicaCount"]
    assert 1 <= workload("local", name)["spec"]["replicas"] <= LOCAL_PARTITIONS


def test_the_local_hubs_have_the_partitions_that_are_counted_on():
    """The fixed numbers of pods go by the hubs that the emulator makes by itself."""
    assert {WORLD.telemetry_hub, WORLD.predictions_hub} == set(FROM_THE_START)
    assert DeclaredHub("any").partition_count == LOCAL_PARTITIONS


@pytest.mark.parametrize("name", READERS)
def test_an_autoscaler_looks_where_checkpoints_are_written(name):
    """Hub, consumer group and container are those that the service uses, the namespace is in lower case."""
    environment, _ = config_of("azure", workload("azure", name))
    triggers = resources("azure")["ScaledObject", name]["spec"]["triggers"]
    assert {
        (one["metadata"]["eventHubName"], one["metadata"]["consumerGroup"]) for one in triggers
    } == READERS[name]
    for trigger in triggers:
        asked = trigger["metadata"]
        assert trigger["type"] == "azure-eventhub"
        assert asked["checkpointStrategy"] == "blobMetadata"
        assert asked["blobContainer"] == WORLD.checkpoint_container
        assert asked["eventHubNamespace"].islower()
        assert environment["FLEETPRICE_EVENT_HUBS"] == f"{asked['eventHubNamespace']}.servicebus.windows.net"
        assert (
            environment["FLEETPRICE_STORAGE"]
            == f"https://{asked['storageAccountName']}.blob.core.windows.net"
        )
        assert int(asked["unprocessedEventThreshold"]) > 0
        assert trigger["authenticationRef"]["name"] == "keda"
    assert (
        resources("azure")["TriggerAuthentication", "keda"]["spec"]["podIdentity"]["provider"]
        == "azure-workload"
    )


def test_what_an_autoscaler_sets_no_manifest_sets():
    """An apply does not undo the number of pods that the load asked for."""
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in of_kind("azure", "ScaledObject")}
    scaled |= {one["spec"]["scaleTargetRef"]["name"] for one in of_kind("azure", "HorizontalPodAutoscaler")}
    assert scaled == {"ingest", "scorer-stream", "scorer-http"}
    assert not any("replicas" in workload("azure", name)["spec"] for name in scaled)


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", READERS)
def test_a_roll_out_gives_partitions_back_before_it_claims_them(overlay, name):
    """With as many pods as partitions a roll-out comes to its end."""
    strategy = workload(overlay, name)["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 0, "maxUnavailable": 1}


def test_an_owner_outlives_a_late_renewal():
    """Ownership lasts for at least three rounds of balancing, so a late one costs no partition."""
    for overlay in OVERLAYS:
        environment, _ = config_of(overlay, workload(overlay, "ingest"))
        interval_s = float(environment["FLEETPRICE_BALANCING_INTERVAL_S"])
        assert float(environment["FLEETPRICE_OWNERSHIP_EXPIRY_S"]) >= 3 * interval_s


def test_every_name_of_the_subscription_is_used_and_none_is_missing():
    """What docs/deploy.md writes into names.env reaches its places, and nothing else has to be edited."""
    azure = MANIFESTS / "overlays" / "azure"
    named = dict(re.findall(r"^([A-Z_]+)=(.+)$", (azure / "names.env").read_text(), re.MULTILINE))
    assert set(re.findall(r"data\.([A-Z_]+)}", (azure / "replacements.yaml").read_text())) == set(named)
    assert "from names.env" not in rendered("azure")
    assert all(value in rendered("azure") for value in named.values())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_accepted_finding_says_why(overlay):
    """An exception from a policy stands on its resource, with its reason; on Azure there is none."""
    skips = [
        (key, value)
        for one in resources(overlay).values()
        for key, value in one["metadata"].get("annotations", {}).items()
        if key.startswith("checkov.io/skip")
    ]
    assert all(re.fullmatch(r"CKV2?_K8S_\d+=.{20,}", reason) for _, reason in skips)
    assert bool(skips) == (overlay == "local")


def test_the_guides_names_file_is_the_one_that_is_read():
    """docs/deploy.md writes names.env with every name that is asked for."""
    guide = (ROOT / "docs" / "deploy.md").read_text()
    names = (MANIFESTS / "overlays" / "azure" / "names.env").read_text()
    for name in re.findall(r"^([A-Z_]+)=", names, re.MULTILINE):
        assert re.search(rf"^{name}=", guide, re.MULTILINE), name
