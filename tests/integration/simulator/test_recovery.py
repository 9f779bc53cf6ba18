"""Recovery from every state of record and hub that a crash can leave, made by hand and by real kills."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime

import pytest
from azure.eventhub.aio import EventHubProducerClient

from services.emulator.event_hubs.faults import Fault
from services.emulator.event_hubs.server import EventHubsServer
from services.simulator.bad_bodies import bad_bodies
from services.simulator.clock import to_epoch_us
from services.simulator.encoder import EventFormat, build_bad_event, encode_events
from services.simulator.record.partition_record import Intent
from services.simulator.record.recovery import select_readings
from shared.codec.body_decoder import BodyDecoder
from shared.contract.columns import READING
from shared.streams.event_hubs.messages import read_body
from shared.streams.partition_key import find_partition
from shared.vehicles.fleet import draw_fleet
from shared.vehicles.market import read_shipped_market
from shared.vehicles.telemetry import Telemetry

AT = datetime(2026, 1, 5, 8, tzinfo=UTC)
VEHICLES = [index for index in range(40) if find_partition(f"s7-v{index:06d}", 4) == 2]
READINGS = [(vehicle, 1) for vehicle in VEHICLES] + [(VEHICLES[0], 2)]
INTENT = Intent(0, -1, 7, AT, READINGS, [index * 1_000 for index in range(len(READINGS))])


def intent_events(count, pack):
    """Return events of the first `count` readings of the intent, as the killed process sent them."""
    telemetry = Telemetry.from_fleet(draw_fleet(7, 40, read_shipped_market()))
    due = select_readings(INTENT, list(range(count)))
    return encode_events(EventFormat(pack, "arrow"), telemetry, due, to_epoch_us(AT)) if count else []


async def put(fleet, partition, events):
    client = EventHubProducerClient.from_connection_string(
        fleet.hub.connection_string, eventhub_name="telemetry"
    )
    async with client:
        batch = await client.create_batch(partition_id=str(partition))
        for event in events:
            batch.add(event)
        await client.send_batch(batch)


@pytest.mark.parametrize(
    ("landed", "pack_before", "pack_after"),
    [(0, 1, 1), (len(READINGS), 50, 1), (3, 1, 5)],
)
async def test_unresolved_intent_is_looked_up(fleet, landed, pack_before, pack_after):
    """After a crash between intent and acknowledgement, readings that had not landed are sent."""
    fleet.append(2, INTENT)
    if landed:
        await put(fleet, 2, intent_events(landed, pack_before))
    await fleet.run(vehicles=40, seconds=0.3, pack=pack_after)
    sent = await fleet.sent()
    sent.check_once_in_order()
    assert sent.keys[2][: len(READINGS)] == [
        (f"s7-v{vehicle:06d}", reading_no) for vehicle, reading_no in READINGS
    ]
    assert sorted(sent.all_keys) == sorted(fleet.acked_keys())
    assert fleet.read_lines(2)[1] == {"acked": 0}


async def test_resent_reading_keeps_its_scheduled_time(fleet):
    """A reading that is sent again after a crash has the time it was first scheduled for."""
    fleet.append(2, INTENT)
    await fleet.run(vehicles=40, seconds=0.3)
    first = (await fleet.sent()).events
    resent = [
        event for event in first if read_body(event) in set(map(read_body, intent_events(len(READINGS), 1)))
    ]
    assert [read_body(event) for event in resent] == list(map(read_body, intent_events(len(READINGS), 1)))
    assert BodyDecoder(READING).decode(read_body(resent[0]), None).records[0].reading_at == AT


@pytest.mark.parametrize("landed", [0, 2])
async def test_unresolved_bad_bodies_are_looked_up(fleet, landed):
    """Unresolved bad bodies are looked up, and sent if they had not landed, like readings."""
    bodies = bad_bodies(7, 1, 0, 5)
    fleet.append(1, {"bad_intent": 0, "position": -1, "seed": 7, "count": 5}, "bad-")
    if landed:
        await put(fleet, 1, [build_bad_event(body) for body in bodies[:landed]])
    await fleet.run(seconds=0.3)
    sent = await fleet.sent()
    assert sorted(event.message_id for event in sent.events if event.message_id) == sorted(
        body.message_id for body in bodies
    )
    assert fleet.read_lines(1, "bad-")[1] == {"bad_acked": 0}


async def test_torn_intent_was_never_sent(fleet):
    """An intent that a crash cut short in the record does not count: its numbers are used again."""
    fleet.append(2, INTENT)
    record = fleet.data / "simulator" / "p02.ndjson"
    record.write_bytes(record.read_bytes()[:-20])
    await fleet.run(vehicles=40, seconds=0.3)
    sent = await fleet.sent()
    sent.check_once_in_order()
    assert sorted(sent.all_keys) == sorted(fleet.acked_keys())


async def start(fleet, **settings):
    """Start a simulator in a process of its own."""
    given = {"vehicles": 200, "rate_hz": 5, "metrics_port": 0, "data": fleet.data, "bad_share": 0.01}
    variables = {f"FLEETPRICE_SIMULATOR_{name}".upper(): str(value) for name, value in given.items()}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.simulator",
        env={**os.environ, **variables, "FLEETPRICE_EVENT_HUBS": fleet.hub.connection_string, **settings},
        stderr=asyncio.subprocess.DEVNULL,
    )


async def test_kills_between_answer_and_record_cost_nothing(fleet):
    """Three kills under load between the hub's answer and the record lose and double no reading."""
    armed = {
        "FLEETPRICE_FAILPOINTS": "simulator_acked=60*3",
        "FLEETPRICE_FAILPOINTS_LOG": str(fleet.data / "failpoints.log"),
    }
    for pack in ("1", "20", "1"):
        process = await start(fleet, **armed, FLEETPRICE_SIMULATOR_PACK=pack)
        assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGKILL
    process = await start(fleet, **armed, FLEETPRICE_SIMULATOR_SECONDS="1")
    assert await asyncio.wait_for(process.wait(), 30) == 0
    sent = await fleet.sent()
    sent.check_once_in_order()
    assert len(sent.all_keys) > 1_500
    assert sorted(sent.all_keys) == sorted(fleet.acked_keys())


async def test_kill_while_the_hub_is_away_costs_nothing(fleet):
    """After a kill with sends in flight to a hub that is down, the next process sends what is missing."""
    process = await start(fleet, FLEETPRICE_SIMULATOR_BAD_SHARE="0")  # so that only readings are in flight
    await fleet.until_recorded(300)
    await fleet.hub.__aexit__(None, None, None)
    await fleet.until_all_unresolved()
    process.kill()
    await process.wait()
    async with EventHubsServer(fleet.data) as fleet.hub:
        await fleet.run(vehicles=200, rate_hz=5.0, seconds=0.3)
        sent = await fleet.sent()
    sent.check_once_in_order()
    assert sorted(sent.all_keys) == sorted(fleet.acked_keys())


async def test_lost_answers_double_nothing(fleet):
    """If the hub accepts a send but its answer is lost, the readings are found there and not sent again."""
    async with fleet.running(vehicles=200, rate_hz=5.0):
        await fleet.until_recorded(200)
        for partition in range(4):
            fleet.hub.namespace.faults.inject(Fault("lose_answer", hub="telemetry", partition=str(partition)))
        await fleet.until_each_recorded(400)
    sent = await fleet.sent()
    sent.check_once_in_order()
    assert sorted(sent.all_keys) == sorted(fleet.acked_keys())
