"""An event that ends its decoder has no price, and its partition goes on."""

import signal
from decimal import Decimal

import pytest

from shared.service import failpoints
from shared.service.errors import SettingsError
from tests.support.scoring import supervised


@pytest.fixture
def armed(tmp_path):
    """Arm a failpoint until the end of the test."""
    yield lambda spec: failpoints.arm(spec, tmp_path / "kills")
    failpoints.disarm()


async def test_an_event_that_the_decoder_fails_on_has_no_price(scorer, fleet, published, armed):
    """An event whose decoding raises an error twice is left out, and the readings around it are priced."""
    armed("decode=raise:v-poison")
    poison = fleet.singles(1, vehicle="v-poison")
    async with scorer():
        await fleet.send([*fleet.singles(2), *poison, *fleet.singles(2)])
        await published.of("v1", 4)


@pytest.mark.parametrize("low_latency", [False, True])
async def test_an_event_that_the_sdk_fails_on_has_no_price(scorer, fleet, published, low_latency):
    """An AMQP decimal, which the SDK cannot decode, stops no partition."""
    (bad,) = fleet.singles(1, vehicle="v2")
    bad.properties = {"price": Decimal("1.5")}
    async with scorer(low_latency=low_latency):
        await fleet.send([*fleet.singles(1), bad, *fleet.singles(1)])
        await published.of("v1", 2)


async def test_an_operator_names_an_event(scorer, fleet, published):
    """An event named by the operator is not decoded and has no price; the next ones are priced."""
    async with scorer(dead_letter="0:1"):
        await fleet.send([*fleet.singles(1), *fleet.singles(1, vehicle="v2"), *fleet.singles(1)])
        await published.of("v1", 2)
        assert not await published.of("v2", 0)


async def test_a_named_event_of_another_stream_is_refused(scorer):
    """The scorer reads telemetry alone: an id of another stream, or none, is a mistake in the settings."""
    for words in ("predictions/0:1", "0-1"):
        with pytest.raises(SettingsError, match="FLEETPRICE_SCORER_DEAD_LETTER"):
            async with scorer(dead_letter=words) as task:
                await task


async def test_an_event_that_ends_the_process_has_no_price(world, fleet, published):
    """An event whose decoding ends the process ends it once; the readings around it are priced once."""
    poison = fleet.singles(1, vehicle="v-poison")
    await fleet.send([*fleet.singles(2), *poison, *fleet.singles(2)])
    async with supervised(world, FLEETPRICE_FAILPOINTS="decode=abort:v-poison") as exits:
        await published.of("v1", 4)
    assert exits == [-signal.SIGABRT]
    assert published.reader.doubles == 0
