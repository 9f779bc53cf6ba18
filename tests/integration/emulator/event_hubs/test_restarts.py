import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.log.durability import Durability
from services.emulator.log.partition_log import PartitionLog
from shared.service.processes.free_ports import free_ports
from tests.support.embedded_stack import PATIENCE_S


class Emulator:
    """`python -m services.emulator` on a directory, any free ports."""

    def __init__(self, data, *arguments, ports=("--port-base", "0"), **environment):
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "services.emulator",
                "--json",
                *ports,
                "--data",
                str(data),
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    async def ready(self):
        line = await asyncio.to_thread(self.process.stdout.readline)
        return json.loads(line)

    async def ended(self, number=None):
        """(exit code, rest of stdout, stderr) after the signal."""
        if number is not None:
            self.process.send_signal(number)
        out, err = await asyncio.to_thread(self.process.communicate, timeout=PATIENCE_S)
        return self.process.returncode, out, err


@pytest.fixture
def emulator():
    started = []

    def start(*arguments, **environment):
        started.append(Emulator(*arguments, **environment))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def pointed_at(client, ready):
    return type(client)(ready["event_hubs"])


def http(method, url, body=None):
    """(status, parsed body) of a request to the admin listener."""
    request = urllib.request.Request(
        url, method=method, data=None if body is None else json.dumps(body).encode()
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


async def test_a_killed_hub_has_every_accepted_event(emulator, tmp_path, client):
    """After kill -9 under load a new process on the same directory serves all that was accepted."""
    accepted = []
    created = set()
    for _ in range(3):
        running = emulator(tmp_path / "data")
        hub = pointed_at(client, await running.ready())
        sending = asyncio.create_task(hub.send_until_refused())
        await hub.first_accepted.wait()
        async with hub.producer() as producer:
            created.add((await producer.get_eventhub_properties())["created_at"])
        running.process.kill()
        accepted.append(await sending)
        await running.ended()
    assert len(created) == 1
    hub = pointed_at(client, await emulator(tmp_path / "data").ready())
    received = [event for _, event in await hub.receive(sum(accepted), partition_id="0")]
    assert [event.sequence_number for event in received] == list(range(len(received)))
    bodies = [event.body_as_str() for event in received]
    for count in accepted:
        assert bodies[:count] == [str(number) for number in range(count)]
        # The last one may be there although its answer was lost.
        bodies = bodies[count + 1 :] if bodies[count : count + 1] == [str(count)] else bodies[count:]


def test_a_log_killed_at_any_moment_has_what_was_served(tmp_path):
    """Killed while it appends, rolls, seals or expires, a log continues where its readers were."""
    reached = -1
    for lines in (1, 30, 150):
        writer = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("log_writer.py"), tmp_path],
            stdout=subprocess.PIPE,
            text=True,
        )
        seen = [writer.stdout.readline() for _ in range(lines)]
        writer.kill()
        seen += writer.communicate()[0].splitlines(keepends=True)
        begin, last = map(int, [line for line in seen if line.endswith("\n")][-1].split())
        log = PartitionLog(tmp_path, segment_bytes=2000)
        numbers = []
        for record in log.records():
            assert record.message.endswith(b"%d" % record.sequence_number)
            numbers.append(record.sequence_number)
        log.abandon()
        assert last > reached
        assert begin <= numbers[0] <= last
        assert numbers == list(range(numbers[0], log.next_sequence))
        # An append of five events may have been written and not reported.
        assert last < log.next_sequence <= last + 11
        reached = last


async def test_a_crash_between_append_and_answer_is_found_by_looking(emulator, tmp_path, client):
    """The failpoint hub_appended kills after the append: the sender has no answer, the hub has the event."""
    counted = {
        "FLEETPRICE_FAILPOINTS": "hub_appended=3*1",
        "FLEETPRICE_FAILPOINTS_LOG": str(tmp_path / "failpoints.log"),
    }
    running = emulator(tmp_path / "data", **counted)
    assert await pointed_at(client, await running.ready()).send_until_refused() == 2
    code, _, _ = await running.ended()
    assert code == -signal.SIGKILL
    hub = pointed_at(client, await emulator(tmp_path / "data", **counted).ready())
    assert [event.body_as_str() for _, event in await hub.receive(3)] == ["0", "1", "2"]


async def test_it_ends_on_a_signal(emulator, tmp_path):
    """SIGTERM ends it cleanly, and stdout has carried exactly the ready line."""
    running = emulator(tmp_path / "data")
    ready = await running.ready()
    assert ready["event"] == "ready"
    assert ready["data"] == str(tmp_path / "data")
    assert await asyncio.to_thread(http, "GET", f"{ready['admin']}/health") == (
        200,
        {"status": "healthy", "message": "Service is healthy."},
    )
    code, out, _ = await running.ended(signal.SIGTERM)
    assert (code, out) == (0, "")


async def test_a_directory_belongs_to_one(emulator, tmp_path):
    """A second emulator on the same directory is refused with one line."""
    await emulator(tmp_path / "data").ready()
    code, out, err = await emulator(tmp_path / "data").ended()
    assert (code, out) == (2, "")
    assert "in use by another fleetprice emulator" in err
    assert err.count("\n") == 1


async def test_a_directory_of_another_version_is_left_alone(emulator, tmp_path):
    """Data that a newer program wrote is not touched."""
    (tmp_path / "emulator.version").write_text("99")
    code, _, err = await emulator(tmp_path).ended()
    assert code == 2
    assert "version 99" in err
    assert not (tmp_path / "event_hubs").exists()


PORT_FLAGS = (
    "--event-hubs-port",
    "--event-hubs-tls-port",
    "--event-hubs-ws-port",
    "--storage-port",
    "--admin-port",
)


@pytest.mark.parametrize("flag", PORT_FLAGS)
async def test_a_port_in_use_is_named(emulator, tmp_path, flag):
    """A port that is taken is refused with its number and the flag that changes it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = dict.fromkeys(PORT_FLAGS, 0) | {flag: port}
        arguments = [str(part) for pair in flags.items() for part in pair]
        code, out, err = await emulator(tmp_path / "data", *arguments, ports=()).ended()
    assert (code, out) == (2, "")
    refusal = err.splitlines()[-1]
    assert str(port) in refusal
    assert flag in refusal


@pytest.mark.parametrize("flag", PORT_FLAGS)
async def test_a_port_that_is_set_wins_over_the_base(emulator, tmp_path, flag):
    """`--port-base 0` gives any free ports to the listeners that were given none."""
    (port,) = free_ports(1)
    ready = await emulator(
        tmp_path, "--port-base", "0", flag, str(port), ports=(), FLEETPRICE_EMULATOR_TLS="true"
    ).ready()
    name = flag.removeprefix("--").removesuffix("-port").replace("-", "_")
    assert f":{port}" in ready[name]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_keys_of_your_own_are_not_shown(emulator, tmp_path, client, host):
    """They are in DIR/world.json, which its owner alone can read; stdout and stderr end in container logs."""
    keys = {
        "FLEETPRICE_EMULATOR_KEY": "own+hub+key=",
        "FLEETPRICE_EMULATOR_STORAGE_KEY": "b3duIHN0b3JhZ2Uga2V5",
    }
    running = emulator(tmp_path, "--host", host, **keys)
    shown = await running.ready()
    kept = json.loads((tmp_path / "world.json").read_text())
    await pointed_at(client, kept).send("x")
    _, out, err = await running.ended(signal.SIGTERM)
    assert "SharedAccessKey=***;" in shown["event_hubs"]
    assert "AccountKey=***;" in shown["storage"]
    hidden = [*keys.values(), *([kept["identity_header"]] if host != "127.0.0.1" else [])]
    for secret in hidden:
        assert secret not in json.dumps(shown) + out + err
    assert not (tmp_path / "world.json").stat().st_mode & 0o077


async def test_strangers_need_a_key_of_their_own(emulator, tmp_path):
    """Beyond loopback the well-known keys are refused."""
    code, _, err = await emulator(tmp_path, "--host", "0.0.0.0").ended()
    assert code == 2
    assert "FLEETPRICE_EMULATOR_KEY" in err


async def test_hubs_are_made_listed_and_deleted_over_http(emulator, tmp_path, client):
    """The admin listener creates, shows and deletes hubs, and names the error of a request."""
    admin = (await emulator(tmp_path).ready())["admin"]
    wanted = {"partition_count": 2, "consumer_groups": ["$Default", "mine"], "retention_hours": 1}
    status, made = await asyncio.to_thread(http, "PUT", f"{admin}/hubs/extra", wanted)
    assert (status, made["name"], made["partition_count"]) == (201, "extra", 2)
    assert made["partitions"][1] == {
        "id": "1",
        "begin_sequence_number": 0,
        "damaged_events": 0,
        "last_enqueued_sequence_number": -1,
        "last_enqueued_offset": "-1",
        "last_enqueued_time": None,
    }
    assert (await asyncio.to_thread(http, "PUT", f"{admin}/hubs/extra", wanted))[0] == 200
    status, hubs = await asyncio.to_thread(http, "GET", f"{admin}/hubs")
    assert {hub["name"] for hub in hubs} == {"telemetry", "predictions", "extra"}
    assert (await asyncio.to_thread(http, "PUT", f"{admin}/hubs/extra", {"partition_count": 3}))[0] == 409
    assert (await asyncio.to_thread(http, "PUT", f"{admin}/hubs/extra", {"partitions": 3}))[0] == 400
    assert (await asyncio.to_thread(http, "DELETE", f"{admin}/hubs/extra"))[0] == 204
    assert (await asyncio.to_thread(http, "DELETE", f"{admin}/hubs/extra"))[0] == 404


@pytest.mark.parametrize("durability", list(Durability))
async def test_every_durability_accepts_and_keeps(tmp_path, client, durability):
    """Whenever events are flushed, they are accepted, served, and there after a restart."""
    for start in (0, 30):
        async with EventHubsServer(tmp_path / "data", durability=durability, sync_interval_s=0.01) as server:
            hub = type(client)(server.connection_string)
            await asyncio.gather(
                *(hub.send(b"%d" % number, partition_id="0") for number in range(start, start + 3))
            )
            received = await hub.receive(3, partition_id="0", starting_position=-1 + (3 if start else 0))
            assert {int(event.body_as_str()) for _, event in received} == set(range(start, start + 3))


async def test_retention_bounds_what_is_kept(tmp_path, client):
    """A partition stays below its limit, and its first number is one that can be read."""
    async with EventHubsServer(tmp_path / "data", retention_bytes=4 << 20) as server:
        hub = type(client)(server.connection_string)
        await hub.send(*[b"x" * 10_000] * 90, times=12, partition_id="0")
        log = server.namespace.hubs.find("telemetry").logs[0]
        async with asyncio.timeout(PATIENCE_S):
            while log.size_bytes > 4 << 20:  # noqa: ASYNC110 - retention has no event to wait for
                await asyncio.sleep(0.05)
        begin = log.state().begin_sequence_number
        assert begin > 0
        [(_, event), *_] = await hub.receive(1, partition_id="0")
        assert event.sequence_number == begin
