"""What the fleet sent against what the lake holds and what was predicted.

Independent of what it judges: the simulator's record, the committed files and the hubs are read here by code
of the oracle's own; no counter of any service is asked. The record is read first, so that whatever it names
is older than what is then read back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from services.oracle.dead_letters import DeadLetters, read_dead_letters
from services.oracle.fleet_record import FleetRecord, read_fleet_record
from services.oracle.hub import Span, read_predictions, retained_spans, waiting_keys
from services.oracle.keys import VehicleCodes, are_in, ints, line_in, sequence_in
from services.oracle.predictions import LAKE_COLUMNS, Predictions
from services.oracle.raw_zone import RawZone
from services.oracle.readings import KEY_COLUMNS, Readings
from services.oracle.settings import OracleSettings
from services.oracle.verdict import Counts, Verdict
from shared.hubs.watermark import Mark
from shared.lake import Lake, open_lake


@dataclass(frozen=True, slots=True)
class _Landed:
    zone: RawZone
    readings: Readings
    letters: DeadLetters

    def events(self) -> int:
        """How many events stand in the lake, good or bad."""
        events = 0
        bad = dict(self.letters.sequences)
        for lane, places, _ in self.readings.lanes():
            of_lane = np.append(sequence_in(places), bad.pop(lane, [])).astype(np.int64)
            events += len(np.unique(of_lane))
        return events + sum(len(set(sequences)) for sequences in bad.values())


@dataclass(frozen=True, slots=True)
class _Predicted:
    """`in_hub` and `in_lake` count the same predictions, those that the hub retains, doubles included."""

    zone: RawZone
    predictions: Predictions
    in_hub: int
    in_lake: int


async def verify(settings: OracleSettings, *, is_running: bool = False) -> Verdict:
    """Read everything and judge it.

    In a world that runs, what the lake has not come to yet is not missing from it.
    """
    codes = VehicleCodes()
    record = read_fleet_record(settings.data / "simulator", codes)
    async with open_lake(settings) as lake:
        landed = await _read_landed(lake, codes)
        predicted = await _read_predicted(settings, lake, landed.zone, codes)
    missing = landed.readings.missing(record.sent)
    waiting = 0
    if is_running:
        spans = await retained_spans(settings, settings.telemetry_hub)
        next_firsts = {one: landed.zone.next_first(landed.zone.newest(int(one))) for one in spans}
        waiting = int(are_in(missing, await waiting_keys(settings, spans, next_firsts, codes)).sum())
    return Verdict(
        _counts(record, landed, predicted, len(missing) - waiting),
        (*landed.zone.faults, *landed.letters.faults, *predicted.zone.faults)
        + (() if is_running else tuple(_shortfalls(record, landed, predicted))),
        tuple(_notes(record, landed, waiting)),
    )


async def _read_landed(lake: Lake, codes: VehicleCodes) -> _Landed:
    zone = RawZone(lake, "telemetry")
    readings = Readings(codes)
    async for lane, batch in zone.batches(KEY_COLUMNS):
        readings.take(lane, batch)
    return _Landed(zone, readings, await read_dead_letters(lake, zone.links))


async def _read_predicted(
    settings: OracleSettings, lake: Lake, telemetry: RawZone, codes: VehicleCodes
) -> _Predicted:
    """From the lake what the hub no longer has, the rest from the hub: each once, as one client in time."""
    spans = await retained_spans(settings, settings.predictions_hub)
    zone = RawZone(lake, "predictions")
    predictions = Predictions(codes)
    in_lake = 0
    async for lane, batch in zone.batches(LAKE_COLUMNS):
        is_newest = lane == zone.newest(lane.partition)
        older, retained = _split(batch, spans.get(str(lane.partition)) if is_newest else None)
        predictions.take_rows(older, lane.generation)
        in_lake += retained
    in_hub = await read_predictions(settings, spans, _marks(predictions, telemetry), predictions)
    return _Predicted(zone, predictions, in_hub, in_lake)


def _split(batch: pa.RecordBatch, span: Span | None) -> tuple[pa.RecordBatch, int]:
    """The rows that the hub no longer has (None: all of them), and how many it has."""
    if span is None:
        return batch, 0
    sequences = ints(batch["sequence_number"])
    is_retained = (sequences >= span.first) & (sequences <= span.last)
    older = batch.filter(pa.array(sequences < span.first))
    return older, int(np.count_nonzero(is_retained))


def _marks(predictions: Predictions, telemetry: RawZone) -> dict[int, Mark]:
    """How far the client has read, as its resume token says it."""
    marks = {}
    for source, place in predictions.marks.items():
        created_at = telemetry.created_at(telemetry.newest(source))
        if created_at is not None:
            instant = datetime.fromisoformat(created_at)
            marks[source] = Mark(instant, int(sequence_in(place)), int(line_in(place)))
    return marks


def _counts(record: FleetRecord, landed: _Landed, predicted: _Predicted, missing: int) -> Counts:
    distinct = predicted.predictions.distinct()
    return Counts(
        sent=len(record.sent),
        landed=landed.readings.rows,
        missing=missing,
        doubled=landed.readings.doubled(),
        out_of_order=landed.readings.out_of_order(),
        dead_lettered=landed.letters.records,
        predicted=distinct,
        predictions_missing=predicted.predictions.missing(landed.readings),
        predictions_doubled=predicted.predictions.seen - distinct,
        predictions_doubled_raw=predicted.predictions.raw - distinct,
        latency_ms=predicted.predictions.latency_ms(),
        files=landed.zone.files + predicted.zone.files,
        events=landed.events(),
    )


def _shortfalls(record: FleetRecord, landed: _Landed, predicted: _Predicted) -> Iterator[str]:
    """What a world at rest owes besides: its predictions in the lake too, its bad bodies in dead letters."""
    if predicted.in_lake != predicted.in_hub:
        yield f"of {predicted.in_hub} predictions in the hub the lake holds {predicted.in_lake}"
    if landed.letters.records < record.bad_sent:
        yield f"of {record.bad_sent} bad bodies sent on purpose {landed.letters.records} are dead letters"


def _notes(record: FleetRecord, landed: _Landed, waiting: int) -> Iterator[str]:
    if waiting:
        yield f"{waiting:,} readings wait in the hub for the lake's next files"
    if len(record.unresolved):
        arrived = landed.readings.landed(record.unresolved)
        yield f"{len(record.unresolved):,} readings were never acknowledged; {arrived:,} of them landed"
