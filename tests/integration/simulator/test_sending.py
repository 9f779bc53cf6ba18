from collections import Counter
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec
import pytest

from services.simulator.bad_bodies import bad_bodies
from services.simulator.record.runs import read_runs
from shared.codec.body_decoder import ARROW, JSON, NDJSON, BodyDecoder
from shared.contract.columns import READING
from shared.service.errors import HubRecreated, NeedsAttention
from shared.streams.event_hubs.messages import read_body, read_enqueued_us
from shared.streams.partition_key import find_partition


@pytest.mark.parametrize(
    ("pack", "pack_format", "content_type"), [(1, "ndjson", JSON), (8, "ndjson", NDJSON), (8, "arrow", ARROW)]
)
async def test_all_is_in_the_hub_once_and_in_order(fleet, pack, pack_format, content_type):
    """A run sends rate · seconds readings of every vehicle, once, in order, as recorded."""
    await fleet.run(seconds=1.0, rate_hz=20.0, pack=pack, pack_format=pack_format)
    sent = await fleet.sent()
    assert len(sent.all_keys) == 20 * 20
    sent.check_once_in_order()
    assert sorted(sent.all_keys) == sorted(fleet.acked_keys())
    assert {event.content_type for event in sent.events} == {content_type}
    for partition, keys in sent.keys.items():
        assert {find_partition(vehicle_id, 4) for vehicle_id, _ in keys} == {partition}


async def test_reading_is_due_before_it_is_sent(fleet):
    """No reading is sent before its scheduled time."""
    await fleet.run(seconds=1.0, linger_ms=10, pack=4)
    decoder, late_ms = BodyDecoder(READING), []
    for event in (await fleet.sent()).events:
        at_us = read_enqueued_us(event)
        records = decoder.decode(read_body(event), event.content_type).records
        late_ms += [(at_us - record.reading_at.timestamp() * 1e6) / 1e3 for record in records]
    assert min(late_ms) > -2  # the hub's clock counts milliseconds


async def test_second_run_continues_the_numbering(fleet):
    """A second run on the same data, with more vehicles, continues each vehicle's numbering."""
    await fleet.run(seconds=1.0, vehicles=10)
    await fleet.run(seconds=1.0, vehicles=20, pack=5)
    await fleet.run(seconds=1.0, vehicles=5, seed=8)
    sent = await fleet.sent()
    sent.check_once_in_order()
    readings = Counter(vehicle_id for vehicle_id, _ in sent.all_keys)
    assert [readings[f"s7-v{index:06d}"] for index in (0, 9, 10, 19)] == [20, 20, 10, 10]
    assert readings["s8-v000000"] == 10
    runs = read_runs(fleet.data / "simulator" / "fleet.json")
    assert [(run.seed, run.vehicles) for run in runs] == [(7, 10), (7, 20), (8, 5)]


async def test_named_run_keeps_its_end(fleet):
    """A simulator that restarts within its run sends only for the time left."""
    async with fleet.running(seconds=600, run_id="one"):
        await fleet.until_recorded(50)
    (run,) = read_runs(path := fleet.data / "simulator" / "fleet.json")
    earlier = msgspec.structs.replace(run, started_at=datetime.now(UTC) - timedelta(seconds=599))
    path.write_bytes(msgspec.json.encode([earlier]))
    await fleet.run(seconds=600, run_id="one")
    (await fleet.sent()).check_once_in_order()
    assert read_runs(path) == [earlier]


async def test_bad_bodies_are_sent_and_recorded_apart(fleet):
    """Bad bodies reach the hub as recorded, in a record apart from the readings'."""
    await fleet.run(seconds=1.0, rate_hz=20.0, bad_share=0.1)
    sent = await fleet.sent()
    sent.check_once_in_order()
    assert len(sent.all_keys) == 400
    intended = []
    for partition in range(4):
        lines = fleet.read_lines(partition, "bad-")
        intents = [line for line in lines if "bad_intent" in line]
        assert [line["bad_acked"] for line in lines if "bad_acked" in line] == [
            intent["bad_intent"] for intent in intents
        ]
        for intent in intents:
            intended += bad_bodies(7, partition, intent["bad_intent"], intent["count"])
    assert 10 < len(intended) == sent.bad
    found = {event.message_id: read_body(event) for event in sent.events if event.message_id}
    assert found == {bad.message_id: bad.body for bad in intended}


async def test_stop_finishes_what_is_in_flight(fleet):
    """A stop leaves no unresolved send, and no send that is not recorded."""
    async with fleet.running(vehicles=200, rate_hz=5.0):
        await fleet.until_recorded(500)
    sent = await fleet.sent()
    assert sorted(sent.all_keys) == sorted(fleet.acked_keys())


async def test_a_missing_hub_does_not_delay_a_stop(fleet):
    """If the hub is gone, a stop still ends the simulator; sends in flight stay unresolved."""
    async with fleet.running(vehicles=200, rate_hz=5.0) as task:
        await fleet.until_recorded(500)
        await fleet.hub.__aexit__(None, None, None)
        assert not task.done()


async def test_another_hub_is_refused(fleet):
    """A hub that was deleted and created again under its name raises HubRecreated."""
    await fleet.run(seconds=0.5)
    fleet.hub.delete_hub("telemetry")
    fleet.hub.create_hub("telemetry")
    with pytest.raises(HubRecreated):
        await fleet.run(seconds=0.5)


async def test_second_simulator_on_the_same_record_is_refused(fleet):
    """A second simulator on the record of a running one raises NeedsAttention."""
    async with fleet.running():
        await fleet.until_recorded(10)
        with pytest.raises(NeedsAttention, match="another fleetprice simulator"):
            await fleet.run(seconds=0.5)


async def test_health_shows_when_the_fleet_sends(fleet, unused_tcp_port):
    """While the fleet sends, `/readyz` answers 200 and `/metrics` has its counters."""
    async with fleet.running(metrics_port=unused_tcp_port), aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{unused_tcp_port}"
        await fleet.until_recorded(100)
        async with session.get(f"{url}/readyz") as response:
            assert response.status == 200
        async with session.get(f"{url}/metrics") as response:
            metrics = await response.text()
    for name in ("sent_readings_total", "send_seconds_bucket", "send_lateness_seconds"):
        assert f"fleetprice_simulator_{name}" in metrics
