"""A swap of the model takes effect between two events, never within one."""

from datetime import UTC, datetime
from functools import partial

import msgspec

from services.scorer.settings import ScorerSettings
from services.scorer.stream.decoding import ROWS_TOGETHER
from services.scorer.stream.pipeline import Handover, PricingPipeline
from shared.codec.body_decoder import NDJSON, BodyDecoder
from shared.contract.columns import READING
from shared.contract.reading import Reading
from shared.pricing.pricer import Pricer
from shared.registry.active_model import ActiveModel
from shared.registry.layout import MANIFEST_FILE
from shared.streams.event import Event
from shared.streams.poison import GuardedDecoder

AT = datetime(2026, 1, 1, tzinfo=UTC)


def second(shipped):
    """Return a pricer with the shipped version under another name, which its predictions carry."""
    manifest = msgspec.json.decode(shipped[MANIFEST_FILE]) | {"version": "2"}
    return Pricer.from_files({**shipped, MANIFEST_FILE: msgspec.json.encode(manifest)})


def large_event(sequence):
    """Return an event with more readings than are priced together."""
    readings = [
        Reading(vehicle_id="v", reading_no=number, reading_at=AT, make="ford", model="focus", year=2017)
        for number in range(1, ROWS_TOGETHER + 200)
    ]
    body = msgspec.json.Encoder().encode_lines(readings)
    return Event(sequence, "0", sequence * 1_000, NDJSON, body)


def versions_in(output):
    lines = output.event.body_as_str().splitlines()
    return {msgspec.json.decode(line)["version"] for line in lines}


def test_an_event_is_priced_by_one_version(pricer, shipped):
    """An event in progress is finished by the version that began it; the next one gets the new version."""
    served = ActiveModel(pricer)
    settings = ScorerSettings(max_rows=500, _env_file=None)
    decoder = GuardedDecoder(partial(BodyDecoder, READING), "telemetry", 0)
    pipeline = PricingPipeline(settings, 0, AT, Handover(), served, decoder)
    outputs = pipeline.price_events([large_event(0)])
    first = next(outputs)
    served.replace(second(shipped))
    rest = list(outputs)
    assert first.rows + sum(output.rows for output in rest) == ROWS_TOGETHER + 199
    assert set().union(*map(versions_in, [first, *rest])) == {"1"}
    assert set().union(*map(versions_in, pipeline.price_events([large_event(1)]))) == {"2"}
    served.replace(pricer)
    assert set().union(*map(versions_in, pipeline.price_events([large_event(2)]))) == {"1"}
