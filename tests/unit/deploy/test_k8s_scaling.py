"""Numbers of pods, and the autoscalers that set them."""

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
    render,
    resources,
    workload,
)

pytestmark = needs_kubectl

WORLD = ConnectionSettings()
# The hubs and consumer groups of each service.
READERS = {
    "ingest": {
        (WORLD.telemetry_hub, IngestSettings().consumer_group),
        (WORLD.predictions_hub, IngestSettings().consumer_group),
    },
    "scorer-stream": {(WORLD.telemetry_hub, GROUP)},
}
LOCAL_PARTITIONS = 4


def read_partitions_of_the_guide():
    """Return the partition count with which docs/deploy.md creates both hubs."""
    guide = (ROOT / "docs" / "deploy.md").read_text()
    (number,) = re.findall(r"^PARTITIONS=(\d+)", guide, re.MULTILINE)
    assert "--partition-count $PARTITIONS" in guide
    return int(number)


@pytest.mark.parametrize("name", READERS)
def test_there_are_never_more_readers_than_partitions(name):
    """One pod more would own nothing and never be ready; every partition of a hub can have its own pod."""
    scaled = resources("azure")["ScaledObject", name]["spec"]
    assert scaled["scaleTargetRef"] == {"name": name}
    assert scaled["maxReplicaCount"] == read_partitions_of_the_guide()
    assert 1 <= scaled["minReplicaCount"] <= scaled["maxReplicaCount"]
    assert 1 <= scaled["fallback"]["replicas"] <= scaled["maxReplicaCount"]
    assert 1 <= workload("local", name)["spec"]["replicas"] <= LOCAL_PARTITIONS


def test_the_local_hubs_have_the_partitions_that_are_counted_on():
    """The fixed numbers of pods match the hubs that the emulator creates by itself."""
    assert {WORLD.telemetry_hub, WORLD.predictions_hub} == set(FROM_THE_START)
    assert DeclaredHub("any").partition_count == LOCAL_PARTITIONS


@pytest.mark.parametrize("name", READERS)
def test_an_autoscaler_looks_where_checkpoints_are_written(name):
    """Hub, consumer group and container are the service's own, and the namespace is in lower case."""
    environment, _ = config_of("azure", workload("azure", name))
    triggers = resources("azure")["ScaledObject", name]["spec"]["triggers"]
    assert {
        (one["metadata"]["eventHubName"], one["metadata"]["consumerGroup"]) for one in triggers
    } == READERS[name]
    for trigger in triggers:
        metadata = trigger["metadata"]
        assert trigger["type"] == "azure-eventhub"
        assert metadata["checkpointStrategy"] == "blobMetadata"
        assert metadata["blobContainer"] == WORLD.checkpoint_container
        assert metadata["eventHubNamespace"].islower()
        assert (
            environment["FLEETPRICE_EVENT_HUBS"] == f"{metadata['eventHubNamespace']}.servicebus.windows.net"
        )
        assert (
            environment["FLEETPRICE_STORAGE"]
            == f"https://{metadata['storageAccountName']}.blob.core.windows.net"
        )
        assert int(metadata["unprocessedEventThreshold"]) > 0
        assert trigger["authenticationRef"]["name"] == "keda"
    assert (
        resources("azure")["TriggerAuthentication", "keda"]["spec"]["podIdentity"]["provider"]
        == "azure-workload"
    )


def test_what_an_autoscaler_sets_no_manifest_sets():
    """An apply does not undo the number of pods that the autoscaler set."""
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in of_kind("azure", "ScaledObject")}
    scaled |= {one["spec"]["scaleTargetRef"]["name"] for one in of_kind("azure", "HorizontalPodAutoscaler")}
    assert scaled == {"ingest", "scorer-stream", "scorer-http"}
    assert not any("replicas" in workload("azure", name)["spec"] for name in scaled)


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", READERS)
def test_a_roll_out_gives_partitions_back_before_it_claims_them(overlay, name):
    """A roll-out finishes even if there are as many pods as partitions."""
    strategy = workload(overlay, name)["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 0, "maxUnavailable": 1}


def test_an_owner_outlives_a_late_renewal():
    """Ownership lasts for at least three rounds of balancing, so a late round loses no partition."""
    for overlay in OVERLAYS:
        environment, _ = config_of(overlay, workload(overlay, "ingest"))
        interval_s = float(environment["FLEETPRICE_BALANCING_INTERVAL_S"])
        assert float(environment["FLEETPRICE_OWNERSHIP_EXPIRY_S"]) >= 3 * interval_s


def test_every_name_of_the_subscription_is_used_and_none_is_missing():
    """Every value that docs/deploy.md writes into names.env is used, and nothing else has to be edited."""
    azure = MANIFESTS / "overlays" / "azure"
    named = dict(re.findall(r"^([A-Z_]+)=(.+)$", (azure / "names.env").read_text(), re.MULTILINE))
    assert set(re.findall(r"data\.([A-Z_]+)}", (azure / "replacements.yaml").read_text())) == set(named)
    assert "from names.env" not in render("azure")
    assert all(value in render("azure") for value in named.values())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_accepted_finding_says_why(overlay):
    """An exception from a policy is an annotation of its resource, with a reason; Azure has none."""
    skips = [
        (key, value)
        for one in resources(overlay).values()
        for key, value in one["metadata"].get("annotations", {}).items()
        if key.startswith("checkov.io/skip")
    ]
    assert all(re.fullmatch(r"CKV2?_K8S_\d+=.{20,}", reason) for _, reason in skips)
    assert bool(skips) == (overlay == "local")


def test_the_guides_names_file_is_the_one_that_is_read():
    """docs/deploy.md writes names.env with every name that is needed."""
    guide = (ROOT / "docs" / "deploy.md").read_text()
    names = (MANIFESTS / "overlays" / "azure" / "names.env").read_text()
    for name in re.findall(r"^([A-Z_]+)=", names, re.MULTILINE):
        assert re.search(rf"^{name}=", guide, re.MULTILINE), name
