import importlib
import json
import re
import runpy
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml
from dotenv import dotenv_values

from services.emulator.event_hubs.config_file import read_config
from shared.lake.client import LakeConnection
from shared.service.settings import DEVELOPMENT_KEYS, ConnectionSettings, read_settings, variable_of
from shared.streams.event_hubs.connection import CheckpointConnection, HubConnection
from tests.support.compose import NotSet, interpolate, read_services, sort_by_needs

ROOT = Path(__file__).parents[3]
OURS = {
    "emulator": "services.emulator.settings:EmulatorSettings",
    "ingest": "services.ingest.settings:IngestSettings",
    "scorer": "services.scorer.settings:ScorerSettings",
    "simulator": "services.simulator.settings:SimulatorSettings",
    "trainer": "services.trainer.settings:TrainerSettings",
}
DOCKERFILE = (ROOT / "services" / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def document():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def keys_script():
    return runpy.run_path(str(ROOT / "deploy" / "compose" / "keys.py"))


@pytest.fixture
def values(keys_script, tmp_path):
    keys_script["main"](tmp_path / "fresh.env")
    return dotenv_values(tmp_path / "fresh.env")


def settings_of(service) -> type[ConnectionSettings]:
    module, name = OURS[service].split(":")
    return getattr(importlib.import_module(module), name)


def ours(document):
    """Yield the services whose image is built here: name, service of the image, specification."""
    for name, spec in document["services"].items():
        which = spec["image"].removeprefix("fleetprice-")
        if spec["image"].startswith("fleetprice-") and "entrypoint" not in spec:
            yield name, which, spec


def image_variables(service):
    """Return the variables that the service's stage of the Dockerfile sets."""
    stage = DOCKERFILE.split(f"FROM base AS {service}\n")[1].split("\nFROM ")[0]
    env = re.search(r"^ENV ((?:.*\\\n)*.*)$", stage, re.MULTILINE)
    return dict(re.findall(r"(FLEETPRICE_\w+)=(\S+)", env[1])) if env else {}


def test_schema(document):
    """docker-compose.yml is valid by the Compose specification's own schema."""
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(document)] == []
    assert list(validator.iter_errors({**document, "services": {"one": {"prots": []}}}))


def test_settings_are_accepted(document, values, monkeypatch, tmp_path):
    """Each service starts with the variables of the compose file and of its image: none is misspelt or out of
    bounds, and no key is refused."""
    monkeypatch.chdir(tmp_path)
    seen = set()
    for _, which, spec in ours(document):
        with monkeypatch.context() as environment:
            given = {k: interpolate(str(v), values) for k, v in spec["environment"].items()}
            for variable, value in (image_variables(which) | given).items():
                environment.setenv(variable, value)
            settings = read_settings(settings_of(which))
            if which == "emulator":
                settings.refuse_known_keys_beyond_loopback()
            elif which != "trainer":
                assert HubConnection.from_settings(settings)
                assert LakeConnection.from_settings(settings)
                assert CheckpointConnection.from_settings(settings)
        seen.add(which)
    assert seen == set(OURS)


def test_every_variable_of_the_images_is_a_setting():
    """Every variable that an image sets is a setting of its service."""
    for service in OURS:
        kind = settings_of(service)
        known = {variable_of(kind, field) for field in kind.model_fields}
        assert set(image_variables(service)) <= known
    assert image_variables("ingest")["FLEETPRICE_INGEST_HOST"] == "0.0.0.0"


def test_ports(document):
    """A published port is one on which the image's service listens."""
    kind, variables = settings_of("scorer"), image_variables("scorer")
    assert variables["FLEETPRICE_SCORER_HTTP_PORT"] == str(kind.model_fields["http_port"].default)
    listens = {
        "emulator": {settings_of("emulator").model_fields["storage_port"].default},
        "scorer": {int(variables["FLEETPRICE_SCORER_HTTP_PORT"])},
        "event-hubs": {int(variables["FLEETPRICE_SCORER_HTTP_PORT"])},
    }
    published = {name: spec["ports"] for name, spec in document["services"].items() if "ports" in spec}
    assert {
        name: {int(port.rpartition(":")[2]) for port in ports} for name, ports in published.items()
    } == listens


def test_nothing_beyond_loopback(document, values):
    """Every published port is published on loopback."""
    ports = [port for spec in document["services"].values() for port in spec.get("ports", [])]
    assert ports
    for port in ports:
        assert interpolate(port, values).startswith("127.0.0.1:")


def test_health_checks_request_the_ports_of_services():
    """An image's health check requests the port on which its service serves its health."""
    endpoints = runpy.run_path(str(ROOT / "deploy" / "images" / "healthy.py"))["ENDPOINTS"]
    for service, (variable, port, _path) in endpoints.items():
        kind = settings_of(service)
        field = next(name for name in kind.model_fields if variable_of(kind, name) == variable)
        default = image_variables(service).get(variable, kind.model_fields[field].default)
        assert int(default) == port
        assert f'CMD ["/usr/local/bin/healthy", "{service}"]' in DOCKERFILE
    assert set(endpoints) == set(OURS) - {"trainer"}


def test_entry_points():
    """Each image starts its service's own module, without a shell in between."""
    for service in OURS:
        assert f'ENTRYPOINT ["/opt/fleetprice/bin/python3", "-m", "fleetprice.{service}"]' in DOCKERFILE
        assert (ROOT / "services" / service / "__main__.py").is_file()


def test_confined(document):
    """No container of ours can write to its root, gain rights or keep a capability."""
    for name, spec in document["services"].items():
        if spec["image"].startswith("fleetprice-"):
            assert (spec["read_only"], spec["cap_drop"]) == (True, ["ALL"]), name
            assert spec["security_opt"] == ["no-new-privileges:true"], name


def test_restarts(document):
    """A service restarts by itself, also after a reboot, and its log is bounded; a job does not restart for
    ever."""
    jobs = {"trainer": "no", "checkpoint-container": "on-failure"}
    for name, spec in document["services"].items():
        assert spec["restart"] == jobs.get(name, "unless-stopped"), name
        assert spec["logging"]["options"]["max-size"], name


@pytest.mark.parametrize("profile", ["emulator", "microsoft", "jobs"])
def test_references_exist(document, values, profile):
    """Volumes are declared, mounted files exist, and a container whose network is shared starts too."""
    starts = read_services(document, profile, values)
    for name in starts:
        spec = document["services"][name]
        for one in spec.get("volumes", []):
            source = one["source"] if isinstance(one, dict) else one.split(":")[0]
            is_there = (ROOT / source).is_file() if source.startswith("./") else source in document["volumes"]
            assert is_there or source.startswith("${TRAINER_DATA"), name
        assert spec.get("network_mode", "none").removeprefix("service:") in {"none", *starts}, name


def test_grace(document):
    """Ingest has time to land what it read and to release its partitions before it is killed."""
    drain_s = settings_of("ingest").model_fields["drain_timeout_s"].default
    for name, which, spec in ours(document):
        if which == "ingest":
            assert float(spec["stop_grace_period"].removesuffix("s")) > drain_s + 5, name


@pytest.mark.parametrize("profile", ["emulator", "microsoft"])
def test_order(document, values, profile):
    """In each profile the readers start after healthy emulators, and the fleet after healthy readers."""
    order = [service.name for service in sort_by_needs(read_services(document, profile, values))]
    tail = "" if profile == "emulator" else "-microsoft"
    places = [
        order.index(name) for name in ("emulator", f"ingest{tail}", f"scorer{tail}", f"simulator{tail}")
    ]
    assert places == sorted(places)
    for name in order:
        conditions = document["services"][name].get("depends_on", {}).values()
        assert {one["condition"] for one in conditions} <= {
            "service_healthy",
            "service_completed_successfully",
        }


def test_microsoft_profile(document, values):
    """Microsoft's emulator has the hubs, Azurite the checkpoints; ours has the lake in both profiles."""
    microsoft = read_services(document, "microsoft", values)["ingest-microsoft"].environment
    emulator = read_services(document, "emulator", values)["ingest"].environment
    assert microsoft["FLEETPRICE_STORAGE"] == emulator["FLEETPRICE_STORAGE"]
    assert "azurite:10000" in microsoft["FLEETPRICE_CHECKPOINTS"]
    assert "//localhost;" in microsoft["FLEETPRICE_EVENT_HUBS"]
    assert document["services"]["ingest-microsoft"]["network_mode"] == "service:event-hubs"


def test_microsoft_hubs():
    """Microsoft's emulator has the same hubs as ours, with the consumer groups of our readers."""
    declared = {hub.name: hub for hub in read_config(ROOT / "deploy" / "compose" / "Config.json")}
    assert set(declared) == {"telemetry", "predictions"}
    assert {hub.partition_count for hub in declared.values()} == {4}
    assert {"ingest", "scorer"} <= set(declared["telemetry"].consumer_groups)
    assert "ingest" in declared["predictions"].consumer_groups


def test_keys_are_fresh(keys_script, tmp_path, capsys):
    """`make compose-env` writes new keys that only their owner can read, and never overwrites others."""
    first, second = tmp_path / "one", tmp_path / "two"
    assert (keys_script["main"](first), keys_script["main"](second)) == (0, 0)
    one, two = dotenv_values(first), dotenv_values(second)
    for name in ("EVENT_HUBS_KEY", "STORAGE_KEY", "SCORER_API_KEY"):
        assert one[name] != two[name]
        assert one[name] not in capsys.readouterr().out
        assert not any(key in one[name] for key in DEVELOPMENT_KEYS)
    assert first.stat().st_mode & 0o777 == 0o600
    before = first.read_text()
    assert keys_script["main"](first) == 2
    assert first.read_text() == before


def test_env_does_not_reach_other_runs(values):
    """Services that run from the checkout read nothing from the containers' .env, and git ignores it."""
    assert not [name for name in values if name.upper().startswith("FLEETPRICE_")]
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_without_keys(document):
    """Without an .env the error of the compose file names the command to run."""
    with pytest.raises(NotSet, match="run make compose-env"):
        read_services(document, "emulator", {})


def test_loopback_key(document):
    """The well-known key is used on loopback alone."""
    text = (ROOT / "docker-compose.yml").read_text()
    for line in text.splitlines():
        if "SAS_KEY_VALUE" in line:
            assert any(host in line for host in ("127.0.0.1", "localhost"))
