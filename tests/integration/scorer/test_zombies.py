"""A fenced scorer that wakes up sends predictions that its successor already sent: readers drop them."""

import msgspec
import pytest
from azure.eventhub import EventData

from shared.codec.body_decoder import NDJSON
from shared.contract.prediction import Prediction
from shared.predictions.reader import PredictionReader, ResumeToken
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.messages import read_event

ROWS = 10


def by_another_version(event):
    """Return the same predictions of the same readings, by a model that is no longer in service."""
    lines = msgspec.json.Decoder(Prediction).decode_lines(read_event(event).body)
    bodies = [msgspec.structs.replace(one, version="0", price=one.price + 1) for one in lines]
    double = EventData(msgspec.json.Encoder().encode_lines(bodies))
    double.content_type = read_event(event).content_type
    double.properties = event.properties
    return double


async def read(settings, token, count):
    """Return the next `count` predictions, and a token as it is kept in a file."""
    reader = PredictionReader(HubConnection.from_settings(settings), settings.predictions_hub, token=token)
    numbers = []
    async for one in reader:
        numbers.append((one.prediction.reading_no, one.prediction.version))
        if len(numbers) == count:
            break
    kept = msgspec.json.encode(reader.token)
    return reader, numbers, msgspec.json.decode(kept, type=ResumeToken)


@pytest.mark.parametrize("kept_after", [3 * ROWS, 3 * ROWS - 4])
async def test_a_zombies_doubles_are_dropped_across_a_readers_restart(
    scorer, fleet, published, settings, kept_after
):
    """Doubles by another version, behind a reader's restart and a scorer's, are dropped and counted."""
    async with scorer(max_rows=ROWS):
        await fleet.send([fleet.ndjson(3 * ROWS)])
        predictions = await published.of("v1", 3 * ROWS)
    version = predictions[0].version
    _, first, token = await read(settings, None, kept_after)
    made = await published.events()
    assert {read_event(one).content_type for one in made} == {NDJSON}
    await fleet.send([by_another_version(one) for one in made], hub="predictions")
    async with scorer(max_rows=ROWS):
        await fleet.send([fleet.ndjson(ROWS)])
        everything = await published.of("v1", 4 * ROWS)
    reader, rest, _ = await read(settings, token, 4 * ROWS - kept_after)
    assert first + rest == [(number, version) for number in range(1, 4 * ROWS + 1)]
    assert reader.doubles >= 3 * ROWS, "raw doubles are counted"
    assert [one.reading_no for one in everything] == list(range(1, 4 * ROWS + 1))
    assert published.reader.doubles == 3 * ROWS
    assert published.reader.predictions == 7 * ROWS
