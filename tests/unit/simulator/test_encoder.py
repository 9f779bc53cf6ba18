import numpy as np
import pytest

from services.simulator.encoder import EventFeed, EventFormat, encode_events
from services.simulator.schedule import Schedule
from services.simulator.settings import MAX_PACK
from shared.codec.body_decoder import ARROW, JSON, NDJSON, BodyDecoder
from shared.contract.columns import READING

ANCHOR_US = 1_770_000_000_000_000
SCHEDULE = Schedule.from_rate(range(400), [1] * 400, fleet_size=400, rate_hz=1.0)


def keys(events):
    decoder = BodyDecoder(READING)
    found = []
    for event in events:
        decoded = decoder.decode(b"".join(event.body), event.content_type)
        assert not decoded.bad
        if decoded.batch is not None:
            found += zip(
                decoded.batch["vehicle_id"].to_pylist(), decoded.batch["reading_no"].to_pylist(), strict=True
            )
        else:
            found += [(record.vehicle_id, record.reading_no) for record in decoded.records]
    return found


@pytest.mark.parametrize(
    ("event_format", "content_type", "events"),
    [
        (EventFormat(1, "ndjson"), JSON, 10),
        (EventFormat(4, "ndjson"), NDJSON, 3),
        (EventFormat(4, "arrow"), ARROW, 3),
        (EventFormat(1, "arrow"), JSON, 10),
    ],
)
def test_readings_become_events(telemetry, event_format, content_type, events):
    """Readings are encoded singly or in packs, in order, under the matching content type."""
    feed = EventFeed(SCHEDULE, telemetry, ANCHOR_US, event_format)
    due, encoded = feed.encode(5, 10)
    assert len(encoded) == events
    assert {event.content_type for event in encoded} == {content_type}
    assert keys(encoded) == [(f"s7-v{vehicle:06d}", 1) for vehicle in due.vehicles]
    assert due.vehicles.tolist() == list(range(5, 15))


@pytest.mark.parametrize("event_format", [EventFormat(1, "ndjson"), EventFormat(50, "arrow")])
def test_successive_calls_miss_no_reading(telemetry, event_format):
    """However many readings are encoded at a time, each comes once and in order."""
    feed = EventFeed(SCHEDULE, telemetry, ANCHOR_US, event_format)
    sizes = [1, 1, 7, 300, 5, 256, 2, 600, 40]
    found, first = [], 0
    for size in sizes:
        found += keys(feed.encode(first, size)[1])
        first += size
    due = SCHEDULE.readings(0, first)
    wanted = [
        (f"s7-v{vehicle:06d}", reading_no)
        for vehicle, reading_no in zip(due.vehicles.tolist(), due.reading_nos.tolist(), strict=True)
    ]
    assert found == wanted
    assert keys(encode_events(event_format, telemetry, due, ANCHOR_US)) == wanted


def test_scheduled_time_is_the_anchor_and_the_offset(telemetry):
    """A reading has the time it was scheduled for, not the time it was encoded."""
    due, events = EventFeed(SCHEDULE, telemetry, ANCHOR_US, EventFormat(1, "ndjson")).encode(401, 1)
    record = BodyDecoder(READING).decode(b"".join(events[0].body), JSON).records[0]
    assert int(np.datetime64(record.reading_at.replace(tzinfo=None), "us").astype(int)) == (
        ANCHOR_US + int(due.offsets_us[0])
    )


@pytest.mark.parametrize("pack_format", ["ndjson", "arrow"])
def test_largest_pack_fits_an_event(telemetry, pack_format):
    """The largest pack that the settings allow stays below the hub's limit of 1 MiB."""
    due = Schedule.from_rate(range(400), [10**8] * 400, fleet_size=400, rate_hz=1.0).readings(0, MAX_PACK)
    (event,) = encode_events(EventFormat(MAX_PACK, pack_format), telemetry, due, ANCHOR_US)
    assert len(b"".join(event.body)) < 1_000_000
