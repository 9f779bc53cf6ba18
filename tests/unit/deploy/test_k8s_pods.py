"""Confinement, shutdown and placement of pods."""

import pytest

from services.ingest.settings import IngestSettings
from services.scorer.settings import ScorerSettings
from services.scorer.stream import stream as scorer_stream
from services.simulator import __main__ as simulator
from shared.http import listener
from shared.streams.event_hubs.shutdown import RELEASE_GRACE_S
from tests.support.overlays import (
    EVERYWHERE,
    OVERLAYS,
    WORKLOADS,
    container_of,
    needs_kubectl,
    of_kind,
    pod_of,
    pod_template,
    resources,
    workload,
)

pytestmark = needs_kubectl

# Volumes that Pod Security "restricted" lets a pod have.
ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
# The longest time of each service from SIGTERM to its end, seconds.
STOPS_WITHIN_S = {
    "ingest": IngestSettings().drain_timeout_s + RELEASE_GRACE_S,
    "scorer-stream": scorer_stream._SEND_TIMEOUT_S + RELEASE_GRACE_S,
    "scorer-http": ScorerSettings().http_drain_s + listener._LINGERING_S + listener._CLOSE_S,
    "simulator": simulator._MAX_STOP_S,
}


@pytest.mark.parametrize(("overlay", "name"), EVERYWHERE)
def test_a_pod_is_admitted_by_restricted_pod_security(overlay, name):
    """No root user, new privileges or capabilities, a read-only root, and no mount of the node."""
    pod = pod_of(workload(overlay, name))
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    own = container_of(workload(overlay, name))["securityContext"]
    assert own["allowPrivilegeEscalation"] is False
    assert own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} <= ALLOWED_VOLUMES
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_namespace_refuses_pods_that_are_not_restricted(overlay):
    """A pod that is added later must meet the same rules."""
    labels = resources(overlay)["Namespace", "fleetprice"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(("overlay", "name"), EVERYWHERE)
def test_a_pod_gets_no_variable_or_token_of_kubernetes(overlay, name):
    """No variables of other Services, which would look like misspelt settings, and no Kubernetes token."""
    pod = pod_of(workload(overlay, name))
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert (
        resources(overlay)["ServiceAccount", pod["serviceAccountName"]]["automountServiceAccountToken"]
        is False
    )


@pytest.mark.parametrize(("overlay", "name"), EVERYWHERE)
def test_a_pod_requests_what_it_needs_and_is_limited(overlay, name):
    """Processor, memory and disk have requests and limits, and /tmp has a size limit."""
    container = container_of(workload(overlay, name))
    for resource in ("cpu", "memory", "ephemeral-storage"):
        assert container["resources"]["requests"][resource]
        assert container["resources"]["limits"][resource]
    (tmp,) = (one for one in pod_of(workload(overlay, name))["volumes"] if one["name"] == "tmp")
    assert tmp["emptyDir"]["sizeLimit"]


@pytest.mark.parametrize(("overlay", "name"), [one for one in EVERYWHERE if one[1] in STOPS_WITHIN_S])
def test_a_pod_has_the_time_that_it_needs_to_stop(overlay, name):
    """The grace period covers preStop, the drain and the release of partitions."""
    prestop = container_of(workload(overlay, name)).get("lifecycle", {}).get("preStop", {})
    waits_s = prestop.get("sleep", {}).get("seconds", 0)
    assert pod_of(workload(overlay, name))["terminationGracePeriodSeconds"] >= 1.2 * (
        waits_s + STOPS_WITHIN_S[name]
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_callers_are_sent_elsewhere_before_a_scorer_stops(overlay):
    """A scorer keeps serving for longer than its readiness probe takes to fail."""
    container = container_of(workload(overlay, "scorer-http"))
    waits_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert waits_s >= 5


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", ["ingest", "scorer-stream", "scorer-http"])
def test_pods_of_a_kind_are_spread_and_drained_one_at_a_time(overlay, name):
    """A lost zone or node takes only some of the pods; draining nodes stops one after another."""
    own = {"matchLabels": {"app.kubernetes.io/name": name}}
    assert pod_template(workload(overlay, name))["metadata"]["labels"].items() >= own["matchLabels"].items()
    spread = pod_of(workload(overlay, name))["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    assert all(one["labelSelector"] == own for one in spread)
    assert resources(overlay)["PodDisruptionBudget", name]["spec"]["selector"] == own


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_traffic_is_denied_unless_a_policy_names_it(overlay):
    """Everything is denied by default; each policy that allows something names pods and ports that exist."""
    policies = of_kind(overlay, "NetworkPolicy")
    deny = resources(overlay)["NetworkPolicy", "default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ports = {
        one["metadata"]["name"]: {port["name"] for port in container_of(one).get("ports", [])}
        for one in of_kind(overlay, *WORKLOADS)
    }
    for policy in policies:
        for rule in policy["spec"].get("ingress", []):
            wanted = {port["port"] for port in rule["ports"]}
            assert all(wanted <= ports[name] for name in selected_names(policy["spec"]["podSelector"]))


def test_only_services_that_need_azure_may_reach_it():
    """AMQP is open to services with a hub, https to those with the lake, the node's metadata to none."""
    open_to = {}
    for policy in of_kind("azure", "NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            for target in rule["to"]:
                if "ipBlock" in target:
                    assert target["ipBlock"]["except"] == ["169.254.169.254/32"]
                    for name in selected_names(policy["spec"]["podSelector"]):
                        open_to[name] = {port["port"] for port in rule["ports"]}
    assert open_to == {
        "ingest": {5671, 443},
        "scorer-stream": {5671, 443},
        "simulator": {5671, 443},
        "scorer-http": {443},
    }


def selected_names(selector):
    """Return the names of the workloads that a policy selects."""
    if "matchLabels" in selector:
        return [selector["matchLabels"]["app.kubernetes.io/name"]]
    return [name for one in selector.get("matchExpressions", []) for name in one["values"]]
