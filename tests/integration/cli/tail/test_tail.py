import asyncio
import fcntl
import json
import signal
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from azure.eventhub import EventData

from services.emulator.event_hubs.server import EventHubsServer
from shared.contract.prediction import Prediction
from shared.contract.reading import Reading
from shared.service.local_stack import write_addresses
from shared.streams.event_hubs.clients import producer_client
from shared.streams.event_hubs.connection import HubConnection
from tests.support.processes import environment_with_only, start_python

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def reading(vehicle_id, reading_no):
    return Reading(
        vehicle_id=vehicle_id, reading_no=reading_no, reading_at=AT, make="Ford", model="Focus", year=2019
    )


def prediction(reading_no):
    return Prediction(
        vehicle_id="a", reading_no=reading_no, reading_at=AT, predicted_at=AT, price=9_950.0, lower=8_400.0,
        upper=11_700.0, currency="GBP", coverage=0.9, model="price", version="1", extrapolated=(),
        source_partition=1, source_sequence_number=reading_no, source_line=0,
    )  # fmt: skip


@pytest.fixture
async def hub(tmp_path):
    async with EventHubsServer(tmp_path) as hub:
        yield hub


async def send(hub, name, *bodies, partition="1"):
    async with producer_client(HubConnection(hub.connection_string), name) as producer:
        await producer.send_batch([EventData(body) for body in bodies], partition_id=partition)


class Tail:
    """A running `python -m services.cli.tail`."""

    def __init__(self, process):
        self.process = process

    async def lines(self, count):
        found = [await asyncio.wait_for(self.process.stdout.readline(), 20) for _ in range(count)]
        return [line.decode().rstrip("\n") for line in found]

    async def objects(self, count):
        return [json.loads(line) for line in await self.lines(count)]

    async def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return await asyncio.wait_for(self.process.wait(), 10)


@pytest.fixture
async def tail(hub):
    started = []

    async def start(hub=hub, **variables):
        settings = {"EVENT_HUBS": hub.connection_string} if hub else {}
        settings |= {f"TAIL_{name.upper()}": value for name, value in variables.items()}
        environment, pipe = environment_with_only(**settings), asyncio.subprocess.PIPE
        process = await start_python(
            "-m", "services.cli.tail", environment=environment, stdout=pipe, stderr=pipe
        )
        started.append(process)
        return Tail(process)

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_telemetry_from_the_earliest_on_and_then_live(hub, tail):
    """Old records come first, bad ones marked, then new ones; Ctrl-C ends it with exit code 0."""
    lines = b"\n".join(map(msgspec.json.encode, (reading("a", 1), reading("b", 1))))
    await send(hub, "telemetry", lines, b"hello")
    watched = await tail(start="earliest", as_json=1)
    first, second, bad = await watched.objects(3)
    assert [(one["vehicle_id"], one["line"]) for one in (first, second)] == [("a", 0), ("b", 1)]
    assert (bad["body"], bad["sequence_number"]) == ("aGVsbG8=", 1)
    await send(hub, "telemetry", msgspec.json.encode(reading("c", 1)), partition="3")
    (live,) = await watched.objects(1)
    assert (live["vehicle_id"], live["partition"]) == ("c", 3)
    assert await watched.interrupt() == 0
    assert await watched.process.stderr.read() == b""


async def test_one_vehicle_alone_from_a_time_on(hub, tail):
    """--vehicle shows only this vehicle, from the requested time."""
    before = datetime.now(UTC) - timedelta(seconds=5)
    await send(hub, "telemetry", *(msgspec.json.encode(reading(one, 1)) for one in "aba"))
    watched = await tail(start=before.isoformat(), vehicle="b")
    (line,) = await watched.lines(1)
    assert "Ford Focus 2019" in line
    assert line.endswith("#1.0")


async def test_predictions_from_an_offset_on(hub, tail):
    """PARTITION:OFFSET begins with this event, and a scorer's doubles are not shown."""
    await send(hub, "predictions", *(msgspec.json.encode(prediction(n)) for n in (1, 2, 2, 3)))
    everything = await (await tail(stream="predictions", start="earliest", as_json=1)).objects(3)
    assert [one["reading_no"] for one in everything] == [1, 2, 3]
    second = everything[1]
    watched = await tail(stream="predictions", start=f"1:{second['offset']}", as_json=1)
    assert await watched.objects(2) == everything[1:]


async def test_predictions_go_on_where_the_last_run_ended(hub, tail, tmp_path):
    """With --resume, a second run shows what the first did not, and still drops a scorer's doubles."""
    resume = {"stream": "predictions", "start": "earliest", "resume": tmp_path / "kept", "as_json": 1}
    await send(hub, "predictions", *(msgspec.json.encode(prediction(n)) for n in (1, 2)))
    first = await tail(**resume)
    assert [one["reading_no"] for one in await first.objects(2)] == [1, 2]
    assert await first.interrupt() == 0
    await send(hub, "predictions", *(msgspec.json.encode(prediction(n)) for n in (1, 2, 3)))
    (line,) = await (await tail(**resume)).objects(1)
    assert (line["reading_no"], line["doubles_dropped"]) == (3, 2)


async def test_dropped_doubles_are_counted(hub, tail):
    """A prediction is shown with the number of doubles dropped before it."""
    await send(hub, "predictions", *(msgspec.json.encode(prediction(n)) for n in (1, 2, 1, 2, 3)))
    *_, last = await (await tail(stream="predictions", start="earliest")).lines(3)
    assert last.endswith("2 doubles dropped before it")


async def test_a_closed_pipe_ends_it(hub, tail):
    """`fleetprice tail … | head -1` ends with exit code 0 and without an error."""
    watched = await tail(start="earliest")
    watched.process._transport.get_pipe_transport(1).close()
    await send(hub, "telemetry", msgspec.json.encode(reading("a", 1)))
    assert await asyncio.wait_for(watched.process.wait(), 20) == 0
    assert await watched.process.stderr.read() == b""


async def test_the_running_stack_is_found(hub, tail, tmp_path):
    """Without a connection string, tail watches the stack that runs on the directory."""
    await send(hub, "telemetry", msgspec.json.encode(reading("a", 1)))
    write_addresses(tmp_path, {"event_hubs": hub.connection_string, "storage": ""})
    with (tmp_path / "emulator.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        watched = await tail(None, data=tmp_path, start="earliest", as_json=1)
        assert (await watched.objects(1))[0]["vehicle_id"] == "a"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"start": "yesterday"}, "--from yesterday: give earliest"),
        ({"start": "7:0"}, "hub telemetry has no partition 7"),
        ({"stream": "prices"}, "FLEETPRICE_TAIL_STREAM"),
        ({"resume": "kept"}, "--resume is for predictions"),
    ],
)
async def test_what_cannot_be_watched_is_refused_in_one_line(tail, variables, said):
    """A bad position or stream: one line on stderr, exit code 2."""
    refused = await tail(**variables)
    out, err = await asyncio.wait_for(refused.process.communicate(), 20)
    assert (refused.process.returncode, out) == (2, b"")
    assert said in err.decode()
    assert err.count(b"\n") == 1
