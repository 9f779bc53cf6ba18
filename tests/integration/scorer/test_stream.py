from shared.contract.bodies import ARROW, JSON, NDJSON
from shared.hubs.clients import hub_created_at, producer_client
from shared.hubs.predictions import property_of, source_created_at


def keys(predictions):
    return [(one.vehicle_id, one.reading_no) for one in predictions]


def places(predictions):
    return [(one.source_sequence_number, one.source_line) for one in predictions]


async def test_single_readings_get_one_prediction_each(scorer, fleet, published):
    """Every reading sent as a JSON event of its own gets one prediction, on the reading's partition."""
    async with scorer():
        await fleet.send(fleet.singles(300), "2")
        predictions = await published.first(300)
    assert keys(predictions) == [("v1", number) for number in range(1, 301)]
    assert places(predictions) == [(sequence, 0) for sequence in range(300)]
    assert {one.source_partition for one in predictions} == {2}
    assert all(one.lower < one.price < one.upper for one in predictions)


async def test_lines_keep_their_places(scorer, fleet, published):
    """A packed event's lines are priced in order; blank and bad ones get no price and keep their numbers."""
    event = fleet.ndjson(3)
    first, second, third = event.body_as_str().splitlines()
    packed = type(event)("\n".join([first, "", "{broken", second, '{"vehicle_id": 5}', third]))
    packed.content_type = NDJSON
    async with scorer():
        await fleet.send([packed, *fleet.singles(1)])
        predictions = await published.first(4)
    assert keys(predictions) == [("v1", number) for number in range(1, 5)]
    assert places(predictions) == [(0, 0), (0, 3), (0, 5), (1, 0)]


async def test_arrow_readings_are_answered_in_arrow(scorer, fleet, published, arrow_rows):
    """Readings sent as Arrow come back as Arrow predictions of the contract's schema."""
    async with scorer():
        await fleet.send([fleet.arrow(200), fleet.arrow(200)])
        predictions = await published.first(400)
        (event,) = await published.events(through=0)
    assert keys(predictions) == [("v1", number) for number in range(1, 401)]
    assert event.content_type == ARROW
    assert arrow_rows(event).num_rows in (200, 400)


async def test_the_form_of_output_can_be_fixed(scorer, fleet, published, settings):
    """`output` forces NDJSON or Arrow whatever the readings came in, with the same predictions."""
    async with scorer(output="ndjson"):
        await fleet.send([fleet.arrow(2)])
        as_lines = await published.first(2)
    async with scorer(output="arrow"):
        await fleet.send(fleet.singles(1))
        predictions = await published.first(3)
    events = await published.events(through=1)
    assert [event.content_type for event in events] == [NDJSON, ARROW]
    assert predictions[:2] == as_lines
    assert {one.price for one in predictions} == {as_lines[0].price}


async def test_one_prediction_is_a_json_event(scorer, fleet, published):
    """A lone prediction is plain JSON, which Stream Analytics and people read as it is."""
    async with scorer():
        await fleet.send(fleet.singles(1))
        await published.first(1)
        (event,) = await published.events(through=0)
    assert event.content_type == JSON


async def test_output_events_say_where_they_come_from(scorer, fleet, published, settings):
    """Each output event carries the source hub's identity and the first and last reading that it prices."""
    async with scorer(max_rows=150):
        await fleet.send([fleet.ndjson(200), fleet.ndjson(200)], "3")
        await published.first(400)
        events = await published.events("3", through=2)
    names = ("first_sequence", "first_line", "last_sequence", "last_line")
    spans = [[property_of(event, name) for name in names] for event in events]
    assert spans[0] == [0, 0, 0, 149]
    assert spans[-1][2:] == [1, 199]
    assert {property_of(event, "source_partition") for event in events} == {3}
    async with producer_client(settings, "telemetry") as client:
        assert {source_created_at(event) for event in events} == {await hub_created_at(client)}


async def test_unseen_vehicles_are_flagged(scorer, fleet, published):
    """A vehicle of a model or year that training never saw is priced and flagged, not confidently priced."""
    async with scorer():
        await fleet.send(fleet.singles(1, model="Quattro Concept", year=2031) + [fleet.arrow(1, make="Lada")])
        unknown_model, unknown_make = await published.first(2)
    assert {"model", "year"} <= set(unknown_model.extrapolated)
    assert "odometer_km" not in unknown_model.extrapolated
    assert {"make", "model"} <= set(unknown_make.extrapolated)


async def test_bad_bodies_delay_nobody(scorer, fleet, published):
    """Malformed, empty, huge and non-UTF-8 events between good ones are passed over."""
    bad = [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{" * 5_000,
        b'{"a":1}',
        b"\xff\xff\xff\xffnonsense",
        b"x" * 90_000,
    ]
    good = fleet.singles(len(bad) + 1)
    events = [good[0]]
    for body, event in zip(bad, good[1:], strict=True):
        events += [type(event)(body), event]
    async with scorer():
        await fleet.send(events)
        predictions = await published.first(len(good))
    assert places(predictions) == [(2 * index, 0) for index in range(len(good))]
