"""Faults and throughput units over HTTP, as any language's tests ask for them."""

import json

import pytest
from azure.core.exceptions import HttpResponseError
from azure.eventhub import EventData
from azure.eventhub.exceptions import EventDataSendError
from azure.storage.filedatalake.aio import DataLakeServiceClient


async def test_a_fault_is_asked_for_listed_and_taken_back(call, client):
    """POST arms it and returns its name, GET counts what it struck, DELETE disarms it."""
    asked = {"kind": "reject", "hub": "telemetry", "times": "always"}
    status, armed = await call("POST", "/faults", asked)
    named = {"id": "event_hubs-1", "service": "event_hubs", "at": "send", "struck": 0}
    assert (status, armed) == (201, asked | named)
    async with client.producer() as producer:
        with pytest.raises(EventDataSendError):
            await producer.send_event(EventData(b"x"), partition_id="0")
        assert await call("GET", "/faults") == (200, [armed | {"struck": 1, "state": "armed"}])
        assert await call("DELETE", "/faults/event_hubs-1") == (204, None)
        await producer.send_event(EventData(b"x"), partition_id="0")
    assert await call("GET", "/faults") == (200, [armed | {"struck": 1, "state": "over"}])
    refused = {"error": "no fault event_hubs-1 is armed"}
    assert await call("DELETE", "/faults/event_hubs-1") == (404, refused)
    assert (await call("POST", "/faults", {"kind": "detach"}))[1]["struck"] == 0
    assert await call("DELETE", "/faults") == (204, None)
    assert await call("GET", "/faults") == (200, [])


async def test_storage_misbehaves_through_the_same_door(call, storage):
    """With "service": "storage" the fault is the other service's."""
    asked = {"service": "storage", "kind": "fail", "operation": "create_file", "path_prefix": "lake/raw/"}
    status, armed = await call("POST", "/faults", asked)
    assert (status, armed["id"], armed["at"]) == (201, "storage-1", "before")
    async with DataLakeServiceClient.from_connection_string(
        storage.connection_string, retry_total=0
    ) as service:
        file = service.get_file_client("lake", "raw/a")
        with pytest.raises(HttpResponseError) as refused:
            await file.create_file()
        assert (refused.value.status_code, refused.value.error_code) == (503, "ServerBusy")
        await file.create_file()
    assert (await call("GET", "/faults"))[1][0]["state"] == "over"


async def test_nonsense_is_refused_over_http(call):
    """A fault that cannot be meant is answered 400 with a sentence, and arms nothing."""
    for nonsense, sentence in (
        ({"kind": "explode"}, "Invalid enum value 'explode'"),
        ({"service": "queue", "kind": "reject"}, "Invalid enum value 'queue'"),
        ({"kind": "reject", "parttion": "0"}, "unknown field `parttion`"),
        ({"kind": "delay"}, "delay needs delay_ms"),
        ([], "Expected `object`"),
    ):
        status, answer = await call("POST", "/faults", nonsense)
        assert status == 400
        assert sentence in answer["error"]
    assert await call("GET", "/faults") == (200, [])


async def test_throughput_units_are_set_while_it_runs(call, server, client):
    """PUT throttles from then on, GET counts the refused sends, null removes the limit."""
    assert await call("GET", "/throughput-units") == (200, {"throughput_units": None, "refused_sends": 0})
    await call("PUT", "/throughput-units", {"throughput_units": 0.01})
    async with client.producer() as producer:
        await producer.send_batch([EventData(b"x")] * 600, partition_id="0")
        with pytest.raises(EventDataSendError, match="50002"):
            await producer.send_event(EventData(b"x"), partition_id="0")
        status, told = await call("GET", "/throughput-units")
        assert (status, told["throughput_units"]) == (200, 0.01)
        # Over a link that is open the SDK sends once more before it raises.
        assert told["refused_sends"] >= 1
        await call("PUT", "/throughput-units", {"throughput_units": None})
        await producer.send_event(EventData(b"x"), partition_id="0")
    for nonsense in ({"throughput_units": 0}, {"throughput_units": "1"}, {}):
        assert (await call("PUT", "/throughput-units", nonsense))[0] == 400


EXTREMES = ["1e308", "-1e308", "1e400", "1" + "0" * 400, "-1", "0", "1e-308"]
EXTREMES += ["true", "NaN", "Infinity", "{}", '"x"']
SCHEDULE = ("times", "seconds", "after", "probability", "seed")
NUMBERS = [
    ("PUT", "/throughput-units", "throughput_units", {}),
    ("PUT", "/clock", "event_hubs_offset_s", {}),
    ("PUT", "/clock", "storage_offset_s", {}),
    ("PUT", "/hubs/extreme", "partition_count", {}),
    ("PUT", "/hubs/extreme", "retention_hours", {}),
    *(("POST", "/faults", name, {"kind": "reject"}) for name in SCHEDULE),
    ("POST", "/faults", "delay_ms", {"kind": "delay"}),
    ("POST", "/faults", "delay_ms", {"kind": "slow", "service": "storage", "operation": "x"}),
    ("POST", "/hubs/telemetry/trim", "before", {}),
]


@pytest.mark.parametrize(("method", "path", "name", "others"), NUMBERS)
async def test_no_number_is_an_error_of_ours(call, server, client, method, path, name, others):
    """A number that is too large, too small or none is refused, and what is taken harms nothing."""
    for extreme in EXTREMES:
        body = json.dumps({**others, name: None}).replace("null", extreme)
        status, answer = await call(method, path, body.encode())
        assert status < 500, extreme
        assert status < 300 or answer["error"]
    assert (await call("DELETE", "/faults", b""))[0] == 204
    assert (await call("PUT", "/throughput-units", b'{"throughput_units": null}'))[0] == 200
    server.namespace.expire()
    await client.send("still served")
