"""An event that ends its decoder is a dead letter, and its partition goes on."""

import base64
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from shared.service import failpoints
from tests.support.ingesting import body_event, ingesting, json_event, send, until

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
