"""The events of the predictions hub for those of the telemetry hub."""

import pyarrow as pa
import pytest
import pytest_asyncio
from azure.eventhub import EventData

from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.storage.server import StorageServer
from shared.codec.body_decoder import ARROW, JSON, NDJSON
from shared.predictions.reader import read_source_created_at
from shared.streams.event_hubs.clients import producer_client, read_created_at
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.messages import read_body, read_property

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_ROWS = 150
PROPERTIES = ("first_sequence", "first_line", "last_sequence", "last_line")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(run_live, tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    async with (
        EventHubsServer(folder) as hub,
        StorageServer(folder) as storage,
        run_live(hub, storage, max_rows=MAX_ROWS) as live,
    ):
        yield live


def places(predictions):
    """Return sequence numbers, counted from the first one's, and lines."""
    first = predictions[0].source_sequence_number
    return [(one.source_sequence_number - first, one.source_line) for one in predictions]


def numbers(predictions):
    return [one.reading_no for one in predictions]


async def output_events_of(live, partition):
    """Return output events by their first source sequence number."""
    return {read_property(one, "first_sequence"): one for one in await live.published.events(partition)}


async def test_single_readings_get_one_prediction_each(live):
    """Every reading sent as a JSON event of its own gets one prediction, on the reading's partition."""
    await live.fleet.send(live.fleet.singles(300, vehicle="single"), "2")
    predictions = await live.published.of("single", 300)
    assert numbers(predictions) == list(range(1, 301))
    assert places(predictions) == [(sequence, 0) for sequence in range(300)]
    assert {one.source_partition for one in predictions} == {2}
    assert all(one.lower < one.price < one.upper for one in predictions)


async def test_lines_keep_their_places(live):
    """A packed event's lines are priced in order; blank and bad ones get no price and keep their numbers."""
    first, second, third = live.fleet.ndjson(3, vehicle="lines").body_as_str().splitlines()
    packed = EventData(f'{first}\n\n{{broken\n{second}\n{{"vehicle_id": 5}}\n{third}')
    packed.content_type = NDJSON
    await live.fleet.send([packed, *live.fleet.singles(1, vehicle="lines")])
    predictions = await live.published.of("lines", 4)
    assert numbers(predictions) == [1, 2, 3, 4]
    assert places(predictions) == [(0, 0), (0, 3), (0, 5), (1, 0)]


async def test_the_form_of_the_readings_is_the_form_of_the_predictions(live):
    """Arrow is answered in Arrow, packed JSON in lines, and a lone prediction is a plain JSON event."""
    await live.fleet.send([live.fleet.arrow(50, vehicle="form")], "3")
    await live.published.of("form", 50)
    await live.fleet.send([live.fleet.ndjson(50, vehicle="form")], "3")
    await live.published.of("form", 100)
    await live.fleet.send(live.fleet.singles(1, vehicle="form"), "3")
    predictions = await live.published.of("form", 101)
    events = await output_events_of(live, "3")
    made = [events[predictions[index].source_sequence_number] for index in (0, 50, 100)]
    assert [event.content_type for event in made] == [ARROW, NDJSON, JSON]
    assert pa.ipc.open_stream(read_body(made[0])).read_all().num_rows == 50
    assert len({(one.price, one.lower, one.upper, one.extrapolated) for one in predictions}) == 1


async def test_output_events_say_where_they_come_from(live):
    """Each output event carries the source hub's identity and the first and last reading that it prices."""
    packed = [live.fleet.ndjson(200, vehicle="origin"), live.fleet.ndjson(200, vehicle="origin")]
    await live.fleet.send(packed, "1")
    await live.published.of("origin", 400)
    events = await live.published.events("1")
    spans = [[read_property(event, name) for name in PROPERTIES] for event in events]
    assert spans[0] == [0, 0, 0, MAX_ROWS - 1]
    assert spans[-1][2:] == [1, 199]
    assert {read_property(event, "source_partition") for event in events} == {1}
    async with producer_client(HubConnection.from_settings(live.fleet.settings), "telemetry") as client:
        assert {read_source_created_at(event) for event in events} == {await read_created_at(client)}


async def test_unseen_vehicles_are_flagged(live):
    """A vehicle of a model or year that training never saw is priced and flagged, not confidently priced."""
    unknown_model = live.fleet.singles(1, vehicle="unseen", model="Quattro Concept", year=2031)
    await live.fleet.send([*unknown_model, live.fleet.arrow(1, vehicle="unseen", make="Lada")])
    of_model, of_make = await live.published.of("unseen", 2)
    assert {"model", "year"} <= set(of_model.extrapolated)
    assert not {"make", "odometer_km"} & set(of_model.extrapolated)
    assert {"make", "model"} <= set(of_make.extrapolated)


async def test_bad_bodies_delay_nobody(live):
    """Malformed, empty, huge and non-UTF-8 events between good ones are passed over."""
    bad = [b"", b"\xff\xfe", b"[]", b"null", b"{" * 5_000, b'{"a":1}', b"\xff\xff\xff\xffno", b"x" * 90_000]
    good = live.fleet.singles(len(bad) + 1, vehicle="good")
    events = [good[0]]
    for body, event in zip(bad, good[1:], strict=True):
        events += [EventData(body), event]
    await live.fleet.send(events)
    predictions = await live.published.of("good", len(good))
    assert places(predictions) == [(2 * index, 0) for index in range(len(good))]
