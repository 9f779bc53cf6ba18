"""The manifests of each overlay, rendered by kubectl as a cluster would get them."""

import os
import subprocess
from functools import cache

import pytest
import yaml

from deploy.k8s.checks.kubectl import KUBECTL, ROOT

MANIFESTS = ROOT / "deploy" / "k8s"
OVERLAYS = ("local", "azure")
WORKLOADS = ("Deployment", "StatefulSet", "CronJob")
NAMES = ("ingest", "scorer-stream", "scorer-http", "simulator", "trainer", "emulator")
needs_kubectl = pytest.mark.skipif(not KUBECTL.exists(), reason="no kubectl: `make manifests` fetches one")
EVERYWHERE = [
    (overlay, name) for overlay in OVERLAYS for name in NAMES if (overlay, name) != ("azure", "emulator")
]


@cache
def render(overlay):
    """Return the overlay's YAML."""
    command = [str(KUBECTL), "kustomize", str(MANIFESTS / "overlays" / overlay)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "HOME": "/"}
    )
    return done.stdout


@cache
def resources(overlay):
    """Map (kind, name) to each resource. Fails if two have the same."""
    found = [one for one in yaml.safe_load_all(render(overlay)) if one]
    named = {(one["kind"], one["metadata"]["name"]): one for one in found}
    assert len(named) == len(found)
    return named


def workload(overlay, name):
    """Return the Deployment, StatefulSet or CronJob with this name."""
    (found,) = (one for one in of_kind(overlay, *WORKLOADS) if one["metadata"]["name"] == name)
    return found


def of_kind(overlay, *kinds):
    return [one for (kind, _), one in resources(overlay).items() if kind in kinds]


def pod_template(workload):
    spec = workload["spec"]
    if workload["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec["template"]


def pod_of(workload):
    return pod_template(workload)["spec"]


def container_of(workload):
    """Return the workload's only container."""
    (container,) = pod_of(workload)["containers"]
    return container


def config_of(overlay, workload):
    """Return its container's environment, ConfigMaps included, and the Secrets that it takes whole."""
    container, environment, secrets = container_of(workload), {}, set()
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            environment |= resources(overlay)["ConfigMap", source["configMapRef"]["name"]]["data"]
        else:
            secrets.add(source["secretRef"]["name"])
    return environment | {one["name"]: one["value"] for one in container.get("env", [])}, secrets
