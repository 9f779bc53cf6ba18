"""An event that ends its decoder is a dead letter, and its partition goes on."""

import asyncio
import base64
import signal
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from shared.service import failpoints
from tests.support.ingesting import body_event, ingesting, json_event, process_environment, send, until
from tests.support.processes import run_python

POISON = b'{"vehicle_id": "POISON"}'


@pytest.fixture
def armed(tmp_path):
    """Arm a failpoint until the end of the test."""
    yield lambda spec: failpoints.arm(spec, tmp_path / "kills")
    failpoints.disarm()


async def test_an_event_that_the_decoder_fails_on_is_a_dead_letter(world, lake, armed):
    """An event whose decoding raises an error twice lands as `poison`, and the events around it as rows."""
    armed("decode=raise:POISON")
    await send(world, [json_event(1, 1), json_event(1, 2), body_event(POISON), json_event(1, 3)])
    with capture_logs() as logs:
        async with ingesting(world):
            await until(lambda: len(lake.keys()) == 3 and lake.letters())
    (letter,) = lake.letters()
    assert (letter["sequence_number"], letter["reason"].partition(":")[0]) == (2, "poison")
    assert base64.b64decode(letter["body"]) == POISON
    (line,) = [one for one in logs if one["event"] == "event_poisoned"]
    assert (line["hub"], line["partition"], line["sequence_number"]) == ("telemetry", 0, 2)
    assert line["log_level"] == "error"


async def test_an_event_that_the_sdk_fails_on_is_a_dead_letter(world, lake):
    """An AMQP decimal, which the SDK cannot decode, stops no partition: its event is a letter."""
    bad = json_event(1, 2)
    bad.properties = {"price": Decimal("1.5")}
    await send(world, [json_event(1, 1), bad, json_event(1, 3)])
    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 2 and lake.letters())
    (letter,) = lake.letters()
    assert (letter["sequence_number"], letter["reason"].partition(":")[0]) == (1, "poison")
    assert base64.b64decode(letter["body"]) == b"".join(bad.body)


@asynccontextmanager
async def supervised(world, **variables):
    """Restart ingest whenever it dies, until the end of the block; yield its exit codes."""
    exits = []

    async def live_for_ever():
        environment = process_environment(world, **variables)
        while True:
            exits.append(await run_python(("-m", "services.ingest"), environment))

    task = asyncio.create_task(live_for_ever())
    try:
        yield exits
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_an_event_that_ends_the_process_is_a_dead_letter(world, lake):
    """An event whose decoding ends the process, as a fault in native code does, ends it once, then lands."""
    await send(world, [json_event(1, 1), json_event(1, 2), body_event(POISON), json_event(1, 3)])
    async with supervised(world, FLEETPRICE_FAILPOINTS="decode=abort:POISON") as exits:
        await until(lambda: len(lake.keys()) == 3 and lake.letters())
    assert exits == [-signal.SIGABRT]
    (letter,) = lake.letters()
    assert letter["sequence_number"] == 2
    assert letter["reason"] == "poison: its decoding ended the process by SIGABRT"


async def test_kills_from_outside_make_no_dead_letter(world, lake):
    """A process killed again and again at the same event lands that event as a row: it is not to blame."""
    await send(world, [json_event(1, number) for number in range(1, 5)])
    async with supervised(world, FLEETPRICE_FAILPOINTS="ingest_staged=1*3") as exits:
        await until(lambda: len(lake.keys()) == 4)
    assert exits == [-signal.SIGKILL] * 3
    assert lake.letters() == []
