"""Manifests checked against the services: settings, ports, probes, secrets."""

import importlib.util
import os
import re
import subprocess

import pytest

from deploy.k8s.checks.kubectl import ROOT
from services.emulator.settings import EmulatorSettings
from services.ingest.settings import IngestSettings
from services.scorer.settings import ScorerSettings
from services.simulator.settings import SimulatorSettings
from services.trainer.settings import TrainerSettings
from shared.lake.client import LakeConnection
from shared.service.errors import SettingsError
from shared.service.metrics import health_routes
from shared.service.settings import read_settings
from shared.streams.event_hubs.connection import HubConnection
from tests.support.overlays import (
    EVERYWHERE,
    OVERLAYS,
    WORKLOADS,
    config_of,
    container_of,
    needs_kubectl,
    of_kind,
    pod_of,
    resources,
    workload,
)

pytestmark = needs_kubectl

SERVICES = {
    "ingest": IngestSettings,
    "scorer-stream": ScorerSettings,
    "scorer-http": ScorerSettings,
    "simulator": SimulatorSettings,
    "trainer": TrainerSettings,
    "emulator": EmulatorSettings,
}
# The commands of docs/deploy.md create these Secrets with these variables.
OF_SECRETS = {
    "world-keys": {
        "FLEETPRICE_EVENT_HUBS": "Endpoint=sb://emulator:5672;SharedAccessKeyName=own;SharedAccessKey=own",
        "FLEETPRICE_STORAGE": "AccountName=own;AccountKey=b3du",
    },
    "emulator-keys": {"FLEETPRICE_EMULATOR_KEY": "own", "FLEETPRICE_EMULATOR_STORAGE_KEY": "b3du"},
}


@pytest.fixture
def settings_of(monkeypatch, tmp_path):
    """Return a function that reads the settings of a service as in its container."""

    def read(overlay, name, **more):
        for variable in [one for one in os.environ if one.startswith("FLEETPRICE_")]:
            monkeypatch.delenv(variable)
        environment, secrets = config_of(overlay, workload(overlay, name))
        for secret in secrets:
            environment |= OF_SECRETS[secret]
        for variable, value in (environment | more).items():
            monkeypatch.setenv(variable, value)
        monkeypatch.chdir(tmp_path)
        return read_settings(SERVICES[name])

    return read


@pytest.mark.parametrize(("overlay", "name"), EVERYWHERE)
def test_a_service_accepts_every_variable_that_its_manifest_sets(settings_of, overlay, name):
    """No pod ends with code 2 because of a name or value in its environment, and all are reachable."""
    out = {"FLEETPRICE_TRAINER_OUT": "/lake/models/price/2"} if name == "trainer" else {}
    settings = settings_of(overlay, name, **out)
    if name != "trainer":
        assert settings.host == "0.0.0.0"
    if name not in {"trainer", "emulator"}:
        assert HubConnection.from_settings(settings)
        assert LakeConnection.from_settings(settings)
        assert settings.log_format == "json"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_training_job_names_its_version(settings_of, overlay):
    """A Job from the template without a version fails, instead of overwriting another version."""
    with pytest.raises(SettingsError, match="FLEETPRICE_TRAINER_OUT"):
        settings_of(overlay, "trainer")


@pytest.mark.parametrize(("overlay", "name"), EVERYWHERE)
def test_a_container_runs_a_module_that_exists(overlay, name):
    """Each command is a service's own module, in the image of that service."""
    container = container_of(workload(overlay, name))
    python, flag, module = container["command"]
    assert (python, flag) == ("python", "-m")
    assert importlib.util.find_spec(f"{module}.__main__")
    service = module.removeprefix("fleetprice.")
    assert (
        container["image"].partition("@")[0].rpartition("/")[2].partition(":")[0] == f"fleetprice-{service}"
    )


@pytest.mark.parametrize(("overlay", "name"), [one for one in EVERYWHERE if one[1] != "trainer"])
def test_ports_are_those_that_the_service_listens_on(settings_of, overlay, name):
    """A probe, a Service or a scraper that uses a port's name reaches a listener."""
    settings = settings_of(overlay, name)
    fields = {
        "metrics": "metrics_port",
        "http": "http_port",
        "amqp": "event_hubs_port",
        "storage": "storage_port",
    }
    ports = container_of(workload(overlay, name))["ports"]
    assert ports
    for port in ports:
        assert port["containerPort"] == getattr(settings, fields[port["name"]])


@pytest.mark.parametrize(
    ("overlay", "name"), [one for one in EVERYWHERE if one[1] not in {"trainer", "emulator"}]
)
def test_probes_request_what_the_service_serves(settings_of, overlay, name):
    """Liveness is /healthz and readiness /readyz, on a port that exists, over TLS if the port has it."""
    container = container_of(workload(overlay, name))
    ports = {port["name"] for port in container["ports"]}
    paths = {route.path for route in health_routes(lambda: True)}
    probed = {}
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = container[kind]["httpGet"]
        assert probe["path"] in paths
        assert probe["port"] in ports
        speaks_tls = probe["port"] == "http" and settings_of(overlay, name).tls_certificate is not None
        assert probe.get("scheme", "HTTP") == ("HTTPS" if speaks_tls else "HTTP")
        probed[kind] = probe["path"]
    assert probed == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def test_the_emulators_probe_requests_its_admin_port(settings_of):
    """The admin API listens on loopback alone, so the probe runs in the container, on the set port."""
    port = settings_of("local", "emulator").admin_port
    for kind in ("startupProbe", "livenessProbe"):
        command = container_of(workload("local", "emulator"))[kind]["exec"]["command"]
        assert f"http://127.0.0.1:{port}/health" in command[-1]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_callers_keys_and_certificate_are_where_the_scorer_reads_them(settings_of, overlay):
    """The scorer finds its callers' keys, and on Azure its certificate, in the mounted volume."""
    settings = settings_of(overlay, "scorer-http")
    http = workload(overlay, "scorer-http")
    (mount,) = (one for one in container_of(http)["volumeMounts"] if one["name"] == "keys")
    (volume,) = (one for one in pod_of(http)["volumes"] if one["name"] == "keys")
    files = {"api-keys"}
    if overlay == "azure":
        assert set(volume) == {"name", "csi"}
        vault = resources(overlay)[
            "SecretProviderClass", volume["csi"]["volumeAttributes"]["secretProviderClass"]
        ]
        objects = vault["spec"]["parameters"]["objects"]
        files = {line.split(": ")[1] for line in objects.splitlines() if "objectAlias" in line}
        assert settings.tls_certificate == settings.tls_key
        assert settings.tls_certificate is not None
        assert settings.tls_certificate.name in files
        assert str(settings.tls_certificate.parent) == mount["mountPath"]
    assert str(settings.api_keys_file.parent) == mount["mountPath"]
    assert settings.api_keys_file.name in files


def test_the_address_that_callers_reach_has_tls_and_authentication(settings_of):
    """There is no Ingress, and the only load balancer is internal and leads to TLS and keys."""
    for overlay in OVERLAYS:
        assert not of_kind(overlay, "Ingress", "Gateway", "HTTPRoute")
    assert {one["spec"].get("type", "ClusterIP") for one in of_kind("local", "Service")} == {"ClusterIP"}
    (balancer,) = (one for one in of_kind("azure", "Service") if one["spec"].get("type") == "LoadBalancer")
    annotations = balancer["metadata"]["annotations"]
    assert annotations["service.beta.kubernetes.io/azure-load-balancer-internal"] == "true"
    assert balancer["spec"]["selector"] == {"app.kubernetes.io/name": "scorer-http"}
    settings = settings_of("azure", "scorer-http")
    assert settings.tls_certificate is not None
    assert settings.api_keys_file is not None


def test_the_guide_creates_the_secrets_that_pods_need():
    """docs/deploy.md creates Secrets with the names and variables that manifests and services read."""
    guide = (ROOT / "docs" / "deploy.md").read_text()
    created = {
        name: set(re.findall(r"--from-literal (\w[\w-]*)=", body))
        for name, body in re.findall(r"create secret generic ([\w-]+)((?:[^\n]*\\\n)*[^\n]*)", guide)
    }
    assert created == {name: set(values) for name, values in OF_SECRETS.items()} | {
        "scorer-keys": {"api-keys"}
    }
    needed = {secret for one in of_kind("local", *WORKLOADS) for secret in config_of("local", one)[1]}
    needed |= {
        volume["secret"]["secretName"]
        for one in of_kind("local", *WORKLOADS)
        for volume in pod_of(one)["volumes"]
        if "secret" in volume
    }
    assert needed == set(created)


def test_the_guide_creates_an_identity_for_every_pod_on_azure():
    """Each service account has an identity that trusts it, and no identity is without a service account."""
    guide = (ROOT / "docs" / "deploy.md").read_text()
    (names,) = re.findall(
        r"^for pod in ([\w -]+); do identity \$pod fleetprice:\$pod; done$", guide, re.MULTILINE
    )
    assert set(names.split()) == {one["metadata"]["name"] for one in of_kind("azure", "ServiceAccount")}
    granted = set(re.findall(r"\bmay ([a-z-]+) \"", guide)) | {"ingest", "scorer-stream", "keda"}
    assert granted == {*names.split(), "keda"}


def test_the_guides_commands_are_well_formed():
    """Each block can be pasted into a shell: quotes, loops and here-documents are closed."""
    guide = (ROOT / "docs" / "deploy.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 10
    for block in blocks:
        checked = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert not checked.stderr, block
