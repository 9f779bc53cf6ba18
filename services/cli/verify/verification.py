"""Compares what the fleet sent with what the lake holds and what was predicted.

The verification is independent of the services that it judges: separate code reads the simulator's record,
the committed files and the hubs, and no counter of a service is used. The simulator's record is read first,
so that everything in it is older than what is read afterwards.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa

from services.cli.verify.compacted import find_compacted_faults
from services.cli.verify.dead_letters import DeadLetters, read_dead_letters
from services.cli.verify.fleet_record import FleetRecord, read_fleet_record
from services.cli.verify.hub import Span, follow_predictions, read_retained_spans, read_waiting_keys
from services.cli.verify.keys import Ints, VehicleCodes, are_in, sequence_of, to_ints
from services.cli.verify.predictions import LAKE_COLUMNS, Predictions
from services.cli.verify.prices import Prices
from services.cli.verify.raw_zone import RawZone
from services.cli.verify.readings import KEY_COLUMNS, Readings, read_keys
from services.cli.verify.replays import REPLAY_COLUMN, Replays
from services.cli.verify.sent_values import SentValues
from services.cli.verify.settings import VerifySettings
from services.cli.verify.time_limit import limit_time
from services.cli.verify.unlanded import find_unlanded
from services.cli.verify.verdict import Counts, Verdict
from shared.contract.columns import PREDICTION, READING
from shared.lake.client import Lake, LakeConnection, open_lake


@dataclass(frozen=True, slots=True)
class _Landed:
    zone: RawZone
    readings: Readings
    letters: DeadLetters
    replays: Replays
    values: SentValues

    def events(self) -> int:
        """Count the distinct events in the lake, those with bad records included."""
        events = 0
        bad = dict(self.letters.sequences)
        for chain, places, _ in self.readings.chains():
            of_chain = np.append(sequence_of(places), bad.pop(chain, [])).astype(np.int64)
            events += len(np.unique(of_chain))
        return events + sum(len(set(sequences)) for sequences in bad.values())

    def faults(self) -> Iterator[str]:
        """Yield the faults of the raw files, of the dead letters and of the replays."""
        yield from self.zone.faults
        yield from self.values.faults
        yield from self.letters.faults
        yield from self.replays.faults(self.letters.ids)


@dataclass(frozen=True, slots=True)
class _Predicted:
    """The predictions, and how many of those that the hub retains are in the hub and in the lake.

    `in_hub` and `in_lake` include doubles.
    """

    zone: RawZone
    predictions: Predictions
    in_hub: int
    in_lake: int


@asynccontextmanager
async def run_verification(
    settings: VerifySettings, *, is_running: bool = False, begin: Awaitable[object] | None = None
) -> AsyncIterator[Verdict]:
    """Read everything and yield the verdict. At the end of the block the links to the hub are closed.

    If the stack is running, readings after the lake's last event do not count as missing. Only the
    predictions hub, which takes longest, is read before `begin` is done.
    """
    codes = VehicleCodes()
    prices = Prices()
    live = Predictions(codes, prices)
    async with follow_predictions(settings, live) as follower:
        if begin is not None:
            await begin
        async with limit_time(settings.timeout_s) as stage:
            record = read_fleet_record(settings.data / "simulator", codes)
            async with open_lake(LakeConnection.from_settings(settings)) as lake:
                stage.reading = "the raw files of telemetry"
                landed, spans = await _read_landed_and_spans(
                    settings, lake, codes, record, is_running=is_running
                )
                stage.reading = "the raw files of predictions"
                zone, predictions, in_lake = await _read_older_predictions(lake, spans, codes, record, prices)
                stage.reading = "the compacted tables"
                table_faults = await find_compacted_faults(lake)
            stage.reading = f"the hub {settings.predictions_hub}"
            in_hub = await follower.read_through(spans)
            predictions.append(live, _marks(predictions, landed.zone))
            stage.reading = f"the hub {settings.telemetry_hub}"
            missing = landed.readings.find_missing(record.sent)
            waiting = await _count_waiting(settings, landed, missing, codes) if len(missing) else 0
            retained = await read_retained_spans(settings, settings.telemetry_hub)
        predicted = _Predicted(zone, predictions, in_hub, in_lake)
        shortfalls = [] if is_running else _shortfalls(record, landed, predicted, retained)
        counts = _counts(record, landed, predicted, len(missing) - (waiting if is_running else 0), waiting)
        if is_running:
            counts = _without_newer(counts, landed, predictions)
        yield Verdict(
            counts,
            (*landed.faults(), *zone.faults, *prices.faults(), *table_faults, *shortfalls),
            tuple(_notes(record, landed, waiting)),
        )


async def verify(settings: VerifySettings, *, is_running: bool = False) -> Verdict:
    """Run a verification and return the verdict."""
    async with run_verification(settings, is_running=is_running) as verdict:
        return verdict


async def _read_landed_and_spans(
    settings: VerifySettings, lake: Lake, codes: VehicleCodes, record: FleetRecord, *, is_running: bool
) -> tuple[_Landed, dict[str, Span]]:
    """Read what landed, and which events the predictions hub retains.

    If the stack is running, the lake is read first; else both are read at once.
    """
    if is_running:
        landed = await _read_landed(lake, codes, record)
        return landed, await read_retained_spans(settings, settings.predictions_hub)
    return await asyncio.gather(
        _read_landed(lake, codes, record), read_retained_spans(settings, settings.predictions_hub)
    )


async def _read_landed(lake: Lake, codes: VehicleCodes, record: FleetRecord) -> _Landed:
    zone = RawZone(lake, "telemetry")
    readings, replays, values = Readings(codes), Replays(), SentValues(codes, record)
    async for slot, batch in zone.batches((*KEY_COLUMNS, REPLAY_COLUMN), READING):
        is_replay = replays.add(slot.chain, batch)
        keys = readings.add(slot.chain, batch, is_replay)
        values.check(slot.path, batch, keys, is_replay)
    return _Landed(zone, readings, await read_dead_letters(lake, zone.links), replays, values)


async def _read_older_predictions(
    lake: Lake, spans: Mapping[str, Span], codes: VehicleCodes, record: FleetRecord, prices: Prices
) -> tuple[RawZone, Predictions, int]:
    """Read from the lake the predictions that the hub no longer retains.

    The number returned counts the rows of the lake that the hub still retains.
    """
    zone = RawZone(lake, "predictions")
    predictions = Predictions(codes, prices)
    in_lake = 0
    async for slot, batch in zone.batches(LAKE_COLUMNS, PREDICTION):
        chain = slot.chain
        prices.check(slot.path, batch, read_keys(batch, codes), record)
        is_newest = chain == zone.newest(chain.partition)
        older, retained = _split(batch, spans.get(str(chain.partition)) if is_newest else None)
        predictions.add_rows(older, chain.generation)
        in_lake += retained
    return zone, predictions, in_lake


def _split(batch: pa.RecordBatch, span: Span | None) -> tuple[pa.RecordBatch, int]:
    """Return the rows before the hub's `span`, and the number of the other rows.

    If `span` is None, all rows are returned, and the number is 0.
    """
    if span is None:
        return batch, 0
    older = batch.filter(pa.array(to_ints(batch["sequence_number"]) < span.first))
    return older, batch.num_rows - older.num_rows


def _marks(older: Predictions, telemetry: RawZone) -> dict[int, int]:
    """Return a client's watermarks, by source partition, at the first prediction that the hub retains.

    A partition of a re-created telemetry hub has none, because its sequence numbers start again.
    """
    return {source: mark for source, mark in older.marks.items() if telemetry.newest(source).generation == 1}


async def _count_waiting(
    settings: VerifySettings, landed: _Landed, missing: Ints, codes: VehicleCodes
) -> int:
    """Count the readings of `missing` that are in the telemetry hub after the lake's last event."""
    spans = await read_retained_spans(settings, settings.telemetry_hub)
    next_firsts = {one: landed.zone.next_first(landed.zone.newest(int(one))) for one in spans}
    return int(are_in(missing, await read_waiting_keys(settings, spans, next_firsts, codes)).sum())


def _counts(
    record: FleetRecord, landed: _Landed, predicted: _Predicted, missing: int, waiting: int
) -> Counts:
    distinct = predicted.predictions.count_distinct()
    unpriced, unpriced_after_last = predicted.predictions.count_missing(landed.readings)
    return Counts(
        sent=len(record.sent),
        landed=landed.readings.rows,
        missing=missing,
        doubled=landed.readings.count_doubled(),
        out_of_order=landed.readings.count_out_of_order(),
        dead_lettered=landed.letters.records,
        predicted=distinct,
        predictions_missing=unpriced,
        predictions_doubled=predicted.predictions.seen - distinct,
        predictions_doubled_raw=predicted.predictions.raw - distinct,
        latency_ms=predicted.predictions.latency_ms(),
        files=landed.zone.files + predicted.zone.files,
        events=landed.events(),
        replayed=landed.replays.count_landed(landed.letters.ids),
        waiting=waiting,
        predictions_waiting=unpriced_after_last,
    )


def _without_newer(counts: Counts, landed: _Landed, predictions: Predictions) -> Counts:
    """Return the counts without the fleet's readings that came after its record was read."""
    newer_landed = sum(landed.values.count_newer(keys) for _, _, keys in landed.readings.chains())
    return msgspec.structs.replace(
        counts,
        landed=counts.landed - newer_landed,
        predicted=counts.predicted - landed.values.count_newer(predictions.keys()),
    )


def _shortfalls(
    record: FleetRecord, landed: _Landed, predicted: _Predicted, retained: Mapping[str, Span]
) -> Iterator[str]:
    """Yield a sentence for each thing that a stack at rest must have, but lacks.

    There must be a record of what the fleet sent. The lake must hold all events of both hubs, and each
    deliberately bad body must be a dead letter.
    """
    if landed.values.has_fleet and not len(record.sent):
        yield "there is no record of what the fleet sent: whether readings are missing cannot be known"
    yield from landed.values.unsent()
    yield from find_unlanded(landed.zone, retained)
    if predicted.in_lake != predicted.in_hub:
        yield f"of {predicted.in_hub} predictions in the hub the lake holds {predicted.in_lake}"
    if landed.letters.records < record.bad_sent:
        yield f"of {record.bad_sent} bad bodies sent on purpose {landed.letters.records} are dead letters"


def _notes(record: FleetRecord, landed: _Landed, waiting: int) -> Iterator[str]:
    if waiting:
        yield f"{waiting:,} readings wait in the hub for the lake's next files"
    if len(record.unresolved):
        arrived = landed.readings.count_landed(record.unresolved)
        yield f"{len(record.unresolved):,} readings were never acknowledged; {arrived:,} of them landed"
