import gzip
from datetime import UTC, datetime
from functools import partial

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from services.scorer.settings import MAX_ROWS_LIMIT
from services.scorer.stream.chunks import build_event_chunk, drop_lines_through, regroup_chunks
from services.scorer.stream.decoding import ReadingDecoder
from services.scorer.stream.lineage import Place
from services.scorer.stream.output_bodies import CARRIED, PredictionBodies
from services.scorer.stream.resume import ExpiredEvents, Tail, find_start
from shared.codec.arrow_bodies import write_stream
from shared.codec.body_decoder import ARROW, JSON, NDJSON, BodyDecoder, Decoded
from shared.codec.record_batches import build_batch
from shared.contract.columns import PREDICTION, READING
from shared.contract.prediction import Prediction
from shared.contract.reading import Reading
from shared.pricing.pricer import Priced
from shared.service.errors import HubRecreated
from shared.streams.event import Event
from shared.streams.hub_properties import PartitionBounds
from shared.streams.poison import GuardedDecoder

AT = datetime(2026, 5, 1, 12, 30, 0, 123456, tzinfo=UTC)
MAX_EVENT_BYTES = 1_048_576
EXPIRED = ExpiredEvents("telemetry")


def guarded():
    return GuardedDecoder(partial(BodyDecoder, READING), "telemetry", 0)


def readings(count, vehicle_id="v"):
    return [
        Reading(vehicle_id=vehicle_id, reading_no=n + 1, reading_at=AT, make="ford", model="focus", year=2017)
        for n in range(count)
    ]


def decoded_json(lines):
    return Decoded(readings(len(lines)), [None] * len(lines), None, lines)


def decoded_arrow(count):
    return Decoded(batch=build_batch(READING, readings(count), [None] * count), lines=range(count))


def of_json(sequence, lines):
    return build_event_chunk(sequence, sequence * 1_000, decoded_json(lines), CARRIED)


def of_arrow(sequence, count):
    return build_event_chunk(sequence, sequence * 1_000, decoded_arrow(count), CARRIED)


def spans(chunks):
    return [((one.first.sequence, one.first.line), (one.last.sequence, one.last.line)) for one in chunks]


def test_small_events_share_a_chunk_and_large_ones_are_spread():
    """Readings keep their order and places, in small events and large ones."""
    events = [of_json(5, [0]), of_json(6, [0, 2, 3]), of_json(7, []), of_json(8, range(5))]
    assert spans(regroup_chunks(events, 3)) == [((5, 0), (6, 2)), ((6, 3), (8, 1)), ((8, 2), (8, 4))]


def test_arrow_and_json_do_not_mix():
    """A chunk holds one form of readings, so that its predictions take that form."""
    chunks = list(regroup_chunks([of_arrow(1, 2), of_arrow(2, 2), of_json(3, [0]), of_arrow(4, 1)], 10))
    assert [one.batch is not None for one in chunks] == [True, False, True]
    assert [len(one) for one in chunks] == [4, 1, 1]
    assert [one.oldest_enqueued_us for one in chunks] == [1_000, 3_000, 4_000]
    assert chunks[0].batch.schema.names == list(CARRIED)


def test_an_event_priced_in_part_goes_on_after_its_last_line():
    """Lines up to the last one priced are left out, those after it kept with their numbers."""
    rest = drop_lines_through(decoded_json([0, 2, 5]), 2)
    assert list(rest.lines) == [5]
    assert [record.reading_no for record in rest.records] == [3]
    rest = drop_lines_through(decoded_arrow(5), 3)
    assert rest.batch.column("reading_no").to_pylist() == [5]
    assert not drop_lines_through(decoded_json([0, 1]), 1).records


def priced(count, fields, flags):
    ones = np.ones(count)
    return Priced(ones * 9e8 + 0.25, ones * 9e8, ones * 9.5e8, np.full(count, flags), fields)


@pytest.mark.parametrize("form", ["ndjson", "arrow"])
def test_predictions_say_the_same_in_every_form(pricer, form):
    """A reader decodes the same predictions from a body of any format."""
    encoder = PredictionBodies(pricer.manifest, 3, form)
    sources = [of_json(7, [0, 4]), of_arrow(7, 2)]
    found = []
    for chunk in sources:
        ((_, (body, content_type)),) = encoder.encode(chunk, priced(2, pricer.fields, 0b10), AT, 10)
        assert content_type == (ARROW if form == "arrow" else NDJSON)
        decoded = BodyDecoder(PREDICTION).decode(body, content_type)
        assert not decoded.bad
        rows = decoded.records
        if decoded.batch is not None:
            rows = [
                msgspec.convert(row, PREDICTION.record)
                for row in decoded.batch.select(PREDICTION.schema.names).to_pylist()
            ]
        found.append([msgspec.structs.replace(row, source_line=0) for row in rows])
    assert found[0] == found[1]
    assert found[0][0].extrapolated == ("model",)
    assert found[0][0].predicted_at == found[0][0].reading_at == AT


@pytest.mark.parametrize(("form", "min_events"), [("ndjson", 4), ("arrow", 2)])
@pytest.mark.parametrize("letter", ["\x01", "\U0001f697"])
def test_the_largest_output_events_fit_the_hub(pricer, form, min_events, letter):
    """The most rows that the settings allow, of the longest contents, stay below the hub's event limit."""
    longest = readings(MAX_ROWS_LIMIT, vehicle_id=letter * 64)
    decoded = Decoded(longest, (), None, range(MAX_ROWS_LIMIT))
    chunk = build_event_chunk(2**62, 0, decoded, CARRIED)
    everything = (1 << len(pricer.fields)) - 1
    encoder = PredictionBodies(pricer.manifest, 31, form)
    whole = priced(MAX_ROWS_LIMIT, pricer.fields, everything)
    made = list(encoder.encode(chunk, whole, AT, MAX_ROWS_LIMIT))
    assert all(len(body) < 0.95 * MAX_EVENT_BYTES for _, (body, _) in made)
    assert len(made) >= min_events
    assert [int(line) for part, _ in made for line in part.lines] == list(range(MAX_ROWS_LIMIT))


def test_arrow_predictions_have_the_contracts_schema(pricer):
    """Arrow out is the prediction contract's schema exactly."""
    bodies = PredictionBodies(pricer.manifest, 0, "auto")
    parts = list(bodies.encode(of_arrow(1, 3), priced(3, pricer.fields, 0), AT, 2))
    assert spans(part for part, _ in parts) == [((1, 0), (1, 1)), ((1, 2), (1, 2))]
    streams = [pa.ipc.open_stream(body).read_all() for _, (body, _) in parts]
    assert all(one.schema.equals(PREDICTION.schema) for one in streams)
    assert [one["source_line"].to_pylist() for one in streams] == [[0, 1], [2]]


def test_lines_are_written_as_predictions_are(pricer):
    """A line is byte for byte what the contract's own record type encodes to."""
    bodies = PredictionBodies(pricer.manifest, 3, "ndjson")
    ((_, (body, content_type)),) = bodies.encode(of_json(7, [4]), priced(1, pricer.fields, 0b10), AT, 10)
    assert content_type == JSON
    assert msgspec.json.encode(msgspec.json.decode(body, type=Prediction)) == body


def single(sequence, body=None, content_type=JSON):
    (reading,) = readings(1)
    body = msgspec.json.encode(reading) if body is None else body
    return Event(sequence, "0", sequence * 1_000, content_type, body)


def packed(sequence, count, *, is_arrow=False):
    if is_arrow:
        return single(sequence, write_stream(decoded_arrow(count).batch.select(READING.schema.names)), ARROW)
    return single(sequence, msgspec.json.Encoder().encode_lines(readings(count)), NDJSON)


@pytest.mark.parametrize("odd", [b"{broken", b'{"vehicle_id": 5}', b"", b"[]"])
def test_events_decoded_together_are_the_events_one_by_one(odd):
    """However many events are decoded together, every good reading keeps its event's number and its line."""
    with_a_new_field = msgspec.json.encode({**msgspec.to_builtins(readings(1)[0]), "new": 1})
    events = [
        single(1), single(2), single(3, odd), single(4), packed(5, 3), packed(6, 2, is_arrow=True),
        packed(7, 1, is_arrow=True), single(8, with_a_new_field),
    ]  # fmt: skip
    found = list(regroup_chunks(ReadingDecoder(None, guarded()).decode(events, CARRIED), 100))
    places = [
        place for one in found for place in zip(one.sequences.tolist(), one.lines.tolist(), strict=True)
    ]
    assert places == [(1, 0), (2, 0), (4, 0), (5, 0), (5, 1), (5, 2), (6, 0), (6, 1), (7, 0), (8, 0)]
    assert [one.is_arrow for one in found] == [False, True, False]
    assert [one.oldest_enqueued_us for one in found] == [1_000, 6_000, 8_000]
    assert all(len(one.records) == len(one) for one in found if not one.is_arrow)


def test_events_that_ingest_reads_are_priced_too():
    """A gzip body is expanded; an AMQP value that is no text has no price, and costs no other."""
    body = single(0).body
    events = [
        single(1),
        Event(2, "0", 0, JSON, gzip.compress(body), content_encoding="gzip"),
        Event(3, "0", 0, JSON, body, content_encoding="utf-8"),
        Event(4, "0", 0, JSON, body, fault="malformed: the body is an AMQP sequence"),
        single(5),
    ]
    (chunk,) = regroup_chunks(ReadingDecoder(None, guarded()).decode(events, CARRIED), 100)
    assert chunk.sequences.tolist() == [1, 2, 3, 5]


def test_only_the_rest_of_an_event_priced_in_part_is_decoded():
    """The first event after a restart yields the readings not priced before, later events all of theirs."""
    events = [packed(5, 4), packed(6, 2)]
    (chunk,) = regroup_chunks(ReadingDecoder(Place(5, 2), guarded()).decode(events, CARRIED), 100)
    assert chunk.lines.tolist() == [3, 0, 1]
    assert chunk.sequences.tolist() == [5, 6, 6]


async def no_hint():
    raise AssertionError("the checkpoint blob is not asked where the output says enough")


def source(last, oldest=0):
    return PartitionBounds(oldest, last)


async def test_a_fresh_partition_starts_at_the_oldest_event():
    """With nothing published yet, scoring starts with the oldest event that the hub has."""
    fresh = Tail(None, was_written=False)
    assert (await find_start(fresh, source(-1), no_hint, 0, EXPIRED)).next_expected == 0
    assert (await find_start(fresh, source(99, 40), no_hint, 0, EXPIRED)).next_expected == 40


async def test_a_published_partition_goes_on_in_its_last_event():
    """The last event published is read again, since it may have more lines than were priced."""
    start = await find_start(Tail(Place(7, 3), was_written=True), source(9), no_hint, 0, EXPIRED)
    assert (start.next_expected, start.handover.through) == (7, Place(7, 3))


async def test_an_output_emptied_by_retention_falls_back_to_the_checkpoint():
    """If retention emptied the output partition, scoring resumes after the checkpoint blob."""

    async def hint():
        return 41

    start = await find_start(Tail(None, was_written=True), source(99), hint, 0, EXPIRED)
    assert start.next_expected == 42


async def test_events_gone_before_they_were_scored_are_passed_over():
    """If retention removed events that have no prediction yet, scoring resumes at the oldest left."""
    start = await find_start(Tail(Place(7, 3), was_written=True), source(99, 20), no_hint, 0, EXPIRED)
    assert (start.next_expected, start.handover.through) == (20, None)


async def test_expired_events_are_counted_once():
    """A partition that is opened again before its first publish counts no expired event a second time."""
    expired = ExpiredEvents("telemetry")
    tail = Tail(Place(7, 3), was_written=True)
    with capture_logs() as logs:
        for oldest in (20, 20, 25):
            await find_start(tail, source(99, oldest), no_hint, 0, expired)
        expired.note(1, 0, 3)
    assert [(one["partition"], one["first_sequence_number"], one["events"]) for one in logs] == [
        (0, 8, 12),
        (0, 20, 5),
        (1, 0, 3),
    ]


async def test_more_published_than_the_hub_ever_held_means_another_hub():
    """Predictions beyond the source hub's end are of a hub that is gone: refused with the remedy."""
    with pytest.raises(HubRecreated, match="FLEETPRICE_PREDICTIONS_HUB"):
        await find_start(Tail(Place(7, 3), was_written=True), source(3), no_hint, 0, EXPIRED)


def test_places_are_ordered_as_readings_are():
    """The highest place is the last reading published, in any order of events in the hub."""
    assert max(Place(4, 9), Place(5, 0), Place(4, 10)) == Place(5, 0)
