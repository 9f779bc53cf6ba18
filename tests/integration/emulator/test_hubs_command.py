import json

import pytest
from azure.eventhub import EventData, EventHubProducerClient

from services.cli import __main__ as cli
from services.emulator import Emulator
from shared.service.data_dir import lock_data_dir
from shared.service.local_stack import write_addresses


@pytest.fixture(scope="module")
def emulator():
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """`fleetprice emulator hubs …`, away from the developer's own data: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = cli.main(["emulator", "hubs", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_hub_is_made_listed_and_deleted(emulator, run):
    """A created hub exists for every client immediately, and a deleted one is gone."""
    here = ("--admin", emulator.admin_url)
    code, out, _ = run("create", "orders", "--partitions", "2", "--consumer-group", "audit", *here)
    assert code == 0
    assert out.splitlines()[1].split()[:3] == ["orders", "2", "0"]
    assert emulator.event_hubs.hub("orders").partition_ids == ["0", "1"]
    with EventHubProducerClient.from_connection_string(
        emulator.event_hubs.hub("orders").connection_string
    ) as producer:
        producer.send_event(EventData(b"one"))
    code, out, _ = run(*here)
    headings, *rows = [line.split("  ") for line in out.splitlines()]
    rows = {row[0].strip(): [cell.strip() for cell in row if cell] for row in rows}
    assert headings[0] == "HUB"
    assert rows.keys() == {"orders", "telemetry", "predictions"}
    assert rows["orders"][1:4] == ["2", "1", "24 h"]
    assert rows["orders"][-1] == "$Default, audit"
    assert run("delete", "orders", *here) == (0, "deleted orders\n", "")
    assert "orders" not in {hub.name for hub in emulator.event_hubs.hubs()}


def test_machines_read_json(emulator, run):
    """With --json stdout holds one JSON document and nothing else."""
    here = ("--json", "--admin", emulator.admin_url)
    code, out, err = run("create", "metrics", "--retention-hours", "1.5", *here)
    made = json.loads(out)
    assert (code, err) == (0, "")
    assert (made["name"], made["partition_count"], made["retention_hours"]) == ("metrics", 4, 1.5)
    assert made["consumer_groups"] is None
    assert json.loads(run("list", "METRICS", *here)[1]) == [made]
    assert {hub["name"] for hub in json.loads(run(*here)[1])} == {"metrics", "telemetry", "predictions"}
    assert json.loads(run("delete", "metrics", *here)[1]) == {"deleted": "metrics"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create", "telemetry"), "hub telemetry exists already"),
        (("create", "a hub"), "a hub's name has letters"),
        (("create", "orders", "--partitions", "0"), "a hub has 1 to 1024 partitions"),
        (("create", "orders", "--consumer-group", "a/b"), "'a/b' cannot be a consumer group's name"),
        (("delete", "nothing"), "there is no hub nothing"),
        (("list", "nothing"), "there is no hub nothing"),
        (("list", "../health"), "there is no hub ../health"),
        (("create",), "create needs the hub's name: fleetprice emulator hubs create NAME"),
        (("delete",), "delete needs the hub's name: fleetprice emulator hubs delete NAME"),
        (("list", "--partitions", "3"), "are for create"),
        (("rename", "telemetry"), "rename"),
    ],
)
def test_what_cannot_be_done_is_one_line(emulator, run, arguments, sentence):
    """An action that fails exits with 2 and one sentence that states the remedy."""
    code, out, err = run(*arguments, "--admin", emulator.admin_url)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_the_emulator_of_a_directory_is_found(emulator, run, tmp_path):
    """The command uses the port of the emulator on the directory, and fails if none runs there."""
    there = tmp_path / "there"
    world = {"event_hubs": "x", "storage": "x", "admin": emulator.admin_url}
    with lock_data_dir(there, "emulator"):
        write_addresses(there, world)
        assert run("--data", str(there))[0] == 0
    code, _, err = run("--data", str(there))
    assert code == 2
    assert f"no emulator runs on {there}" in err
    with lock_data_dir(tmp_path / ".fleetprice", "emulator"):
        write_addresses(tmp_path / ".fleetprice", world)
        assert run()[0] == 0


def test_without_an_emulator_it_says_where_it_asked(emulator, run, monkeypatch):
    """Without an emulator the error names the URL, also if another server responds there."""
    storage_port = emulator.storage.account_url.split(":")[2].split("/")[0]
    monkeypatch.setenv("FLEETPRICE_EMULATOR_ADMIN_PORT", storage_port)
    code, _, err = run()
    assert code == 2
    assert err == f"fleetprice: what answers at http://127.0.0.1:{storage_port} is no fleetprice emulator\n"
    with Emulator() as gone:
        pass
    code, _, err = run("--admin", gone.admin_url)
    assert code == 2
    assert f"no emulator answers at {gone.admin_url}" in err
    code, _, err = run("--admin", "localhost:5300")
    assert code == 2
    assert "no URL" in err


def test_flags_belong_behind_hubs(capsys):
    """A flag before `hubs`, where it would have no effect, is refused."""
    assert cli.main(["emulator", "--data", "elsewhere", "hubs"]) == 2
    assert "put flags of hubs after it" in capsys.readouterr().err
