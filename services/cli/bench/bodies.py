"""The readings that fill a hub, in each format that an event body can have (pure)."""

from datetime import UTC, datetime, timedelta

import msgspec

from shared.codec.arrow_bodies import write_stream
from shared.codec.body_decoder import ARROW
from shared.codec.record_batches import build_batch
from shared.contract.columns import READING
from shared.contract.reading import Reading

_STARTED_AT = datetime(2026, 5, 1, tzinfo=UTC)
_MAKES = (("ford", "Focus"), ("vauxhall", "Corsa"), ("toyota", "Yaris"), ("bmw", "3 Series"))


def make_readings(first: int, count: int, vehicles: int = 500) -> list[Reading]:
    """Return `count` readings, from number `first` on, of a fleet whose vehicles take turns.

    As JSON, a reading has about 300 bytes.
    """
    fleet = []
    for number in range(first, first + count):
        vehicle, turn = number % vehicles, number // vehicles
        make, model = _MAKES[vehicle % len(_MAKES)]
        fleet.append(
            Reading(
                vehicle_id=f"s1-v{vehicle:06d}",
                reading_no=turn + 1,
                reading_at=_STARTED_AT + timedelta(milliseconds=number),
                make=make,
                model=model,
                year=2010 + vehicle % 12,
                transmission="manual",
                fuel_type="petrol",
                engine_l=1.0 + vehicle % 3 * 0.5,
                odometer_km=45_000.5 + vehicle * 7 + turn * 0.013,
                rated_consumption_l_100km=5.2,
                speed_kmh=round(number % 1300 * 0.1, 1),
                latitude=51.5 + number % 997 * 0.00013,
                longitude=-0.1 + number % 991 * 0.00017,
                dtc_count=0,
            )
        )
    return fleet


def make_body(content_type: str, first: int, count: int) -> bytes:
    """Return the body of one event with `count` readings, from number `first` on."""
    packed = make_readings(first, count)
    if content_type == ARROW:
        return write_stream(build_batch(READING, packed, [None] * count).select(READING.schema.names))
    return b"\n".join(map(msgspec.json.encode, packed))
