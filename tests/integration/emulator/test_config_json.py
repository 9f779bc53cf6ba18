import json
import signal
import subprocess
import sys

import pytest
from azure.eventhub import EventData, EventHubProducerClient

from services.emulator import Emulator
from services.emulator.admin.client import AdminClient
from shared.service.errors import NeedsAttention
from tests.support.embedded_stack import PATIENCE_S


def write_config(path, *hubs):
    """Write a Config.json with a (name, partitions, groups) for each hub."""
    entities = [
        {"Name": name, "PartitionCount": partitions, "ConsumerGroups": [{"Name": group} for group in groups]}
        for name, partitions, groups in hubs
    ]
    namespace = {"Type": "EventHub", "Name": "emulatorNs1", "Entities": entities}
    user_config = {"NamespaceConfig": [namespace], "LoggingConfig": {"Type": "File"}}
    path.write_text(json.dumps({"UserConfig": user_config}))
    return path


@pytest.fixture
def start(tmp_path):
    """Start `fleetprice emulator --config …` as a process on one data directory; it ends with the test."""
    started = []

    def start(config):
        command = [sys.executable, "-m", "services.cli", "emulator", "--port-base", "0", "--json"]
        process = subprocess.Popen(
            [*command, "--data", str(tmp_path / "data"), "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_hubs_of_the_file_are_there(start, tmp_path):
    """The hubs of a Config.json for Microsoft's emulator exist as soon as the emulator is ready."""
    running = start(write_config(tmp_path / "Config.json", ("eh1", "2", ["cg1"])))
    ready = json.loads(running.stdout.readline())
    hubs = {hub["name"]: hub for hub in AdminClient(ready["admin"]).hubs()}
    assert hubs.keys() == {"eh1", "telemetry", "predictions"}
    assert (hubs["eh1"]["partition_count"], hubs["eh1"]["consumer_groups"]) == (2, ["$Default", "cg1"])
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=PATIENCE_S)
    refused = start(write_config(tmp_path / "Config.json", ("new", 1, []), ("eh1", "4", ["cg1"])))
    out, err = refused.communicate(timeout=PATIENCE_S)
    assert (refused.returncode, out) == (2, "")
    sentences = [line for line in err.splitlines() if line.startswith("fleetprice: ")]
    assert len(sentences) == 1
    assert "hub eh1 has 2 partitions, 4 are declared" in sentences[0]
    assert not (tmp_path / "data" / "event_hubs" / "new").exists()


def test_a_file_that_is_not_there(start, tmp_path):
    """A missing file ends the start with exit code 2 and names the path."""
    refused = start(tmp_path / "Config.json")
    out, err = refused.communicate(timeout=PATIENCE_S)
    assert (refused.returncode, out) == (2, "")
    assert err == f"fleetprice: {tmp_path / 'Config.json'} cannot be read: No such file or directory\n"


def test_a_second_start_keeps_the_events(tmp_path):
    """Starting again with the same file and one more group keeps the events and adds the group."""
    config = write_config(tmp_path / "Config.json", ("eh1", "1", ["cg1"]))
    with (
        Emulator(tmp_path / "data", config=config) as emulator,
        EventHubProducerClient.from_connection_string(
            emulator.event_hubs.hub("eh1").connection_string
        ) as producer,
    ):
        producer.send_event(EventData(b"kept"))
    write_config(config, ("eh1", "1", ["cg2"]), ("eh2", "3", []))
    with Emulator(tmp_path / "data", config=config) as emulator:
        assert [event.body for event in emulator.event_hubs.hub("eh1").events()] == [b"kept"]
        groups = {hub["name"]: hub["consumer_groups"] for hub in AdminClient(emulator.admin_url).hubs()}
        assert groups["eh1"] == ["$Default", "cg2", "cg1"]
        assert groups["eh2"] == ["$Default"]


def test_an_emulator_in_a_test_refuses_what_the_command_refuses(tmp_path):
    """The exception states the remedy in one sentence, and leaves no folder or thread behind."""
    config = write_config(tmp_path / "Config.json", ("eh1", 0, []))
    with (
        pytest.raises(NeedsAttention, match="hub 'eh1': a hub has 1 to 1024 partitions"),
        Emulator(config=config),
    ):
        pass
