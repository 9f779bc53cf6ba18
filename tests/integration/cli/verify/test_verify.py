import json
from datetime import timedelta

import msgspec

from services.cli.verify.verification import verify
from tests.support.verified_world import prediction

LETTER = {"partition": 0, "sequence_number": 4, "line": 0}
ROWS_0 = "raw/telemetry/date=2026-03-01/hour=12/p00-00000000000000000000.parquet"
ROWS_2 = "raw/telemetry/date=2026-03-01/hour=12/p00-00000000000000000002.parquet"


async def test_a_sound_stack_is_clean(sound):
    """Everything sent has landed and was priced: nothing is wrong."""
    verdict = await verify(sound.settings)
    assert verdict.is_clean, verdict
    counts = verdict.counts
    assert (counts.sent, counts.landed, counts.predicted, counts.events, counts.files) == (4, 4, 4, 4, 3)
    assert (counts.predictions_doubled_raw, counts.dead_lettered) == (0, 0)


async def test_a_lost_row_is_missing(sound):
    """A file with one row less than was sent: one missing, and the footer does not agree."""
    rows = [(2, 0, sound.readings[2])]
    await sound.file("telemetry", 2, 4, rows)
    verdict = await verify(sound.settings)
    assert (verdict.counts.missing, verdict.counts.landed, verdict.faults) == (1, 3, ())
    assert not verdict.is_clean


async def test_a_lost_file_is_missing(sound):
    """A deleted committed file shows in the counts and in the chain."""
    await sound.lake.delete(ROWS_0)
    verdict = await verify(sound.settings)
    assert verdict.counts.missing == 2
    assert verdict.faults == ("telemetry partition 0: events 0 to 1 are in no file",)


async def test_the_newest_file_lost_is_missing(sound):
    """Events that are still in the hub are missing from a lake at rest."""
    await sound.lake.delete(ROWS_2)
    assert (await verify(sound.settings)).counts.missing == 2


async def test_files_that_overlap_double(sound):
    """Of two files with the same events every row is doubled, and the overlap is reported."""
    rows = [(sequence, 0, one) for sequence, one in enumerate(sound.readings)]
    await sound.file("telemetry", 1, 4, rows[1:])
    verdict = await verify(sound.settings)
    assert verdict.counts.doubled == 3
    assert any("overlaps" in fault for fault in verdict.faults)


async def test_a_vehicles_readings_in_the_wrong_order_are_counted(sound):
    """Reading 2 in an earlier event than reading 1 is out of order."""
    first, second, third, fourth = sound.readings
    await sound.file("telemetry", 0, 2, [(0, 0, third), (1, 0, second)])
    await sound.file("telemetry", 2, 4, [(2, 0, first), (3, 0, fourth)])
    counts = (await verify(sound.settings)).counts
    assert (counts.out_of_order, counts.missing, counts.doubled) == (1, 0, 0)
    assert counts.predictions_missing == 2


async def test_a_reading_never_priced_is_counted(world):
    """Three predictions for four readings."""
    await world.make_sound(predicted=3)
    verdict = await verify(world.settings)
    assert (verdict.counts.predicted, verdict.counts.predictions_missing) == (3, 1)
    assert not verdict.is_clean


async def test_a_zombie_scorers_doubles_are_raw_only(sound):
    """Predictions that are twice in the hub are dropped by the client's reader: counted, but no fault."""
    await sound.publish(sound.predictions()[2:])
    await sound.land_predictions([*sound.predictions(), *sound.predictions()[2:]], events=[0, 1, 2, 3, 4, 4])
    verdict = await verify(sound.settings)
    assert (verdict.counts.predictions_doubled, verdict.counts.predictions_doubled_raw) == (0, 2)
    assert verdict.is_clean, verdict


async def test_predictions_that_did_not_land_are_a_fault(sound):
    """Every prediction of the hub must be in the lake too."""
    await sound.publish(sound.predictions()[3:])
    verdict = await verify(sound.settings)
    assert verdict.faults == ("of 5 predictions in the hub the lake holds 4",)


async def test_predictions_older_than_the_hub_are_read_from_the_lake(world):
    """Predictions that retention removed from the hub still count, because they landed."""
    await world.make_sound()
    log = world.hub.namespace.hubs.find("predictions").logs[0]
    later_ms = world.hub.namespace.now_ms() + int(timedelta(hours=1).total_seconds() * 1000)
    log.expire(later_ms, 1, None)
    verdict = await verify(world.settings)
    assert (verdict.counts.predicted, verdict.counts.predictions_missing) == (4, 0)
    assert verdict.is_clean, verdict


async def test_dead_letters_count_only_if_a_footer_names_them(sound):
    """Dead letters left by an attempt that lost its slot do not count."""
    letter = msgspec.json.encode({**LETTER, "reason": "malformed", "body": ""}) + b"\n"
    await sound.lake.write("dead-letters/telemetry/p00-4-a.ndjson", letter * 2)
    await sound.lake.write("dead-letters/telemetry/p00-4-b.ndjson", letter * 5)
    await sound.file("telemetry", 4, 5, [], bad=2, dead_letter="dead-letters/telemetry/p00-4-a.ndjson")
    verdict = await verify(sound.settings)
    assert (verdict.counts.dead_lettered, verdict.counts.events, verdict.faults) == (2, 5, ())


async def with_dead_reading(world):
    """Reading 1 of vehicle 0 was dead-lettered in event 0; the other three landed and were priced."""
    world.record((0, 1), (1, 1))
    world.record((0, 2), (1, 2))
    for stream in ("telemetry", "predictions"):
        await world.root(stream)
    letter = msgspec.json.encode({**LETTER, "sequence_number": 0, "reason": "malformed", "body": ""})
    path = "dead-letters/telemetry/p00-0-a.ndjson"
    await world.lake.write(path, letter + b"\n")
    rows = [(sequence, 0, one) for sequence, one in enumerate(world.readings)]
    await world.file("telemetry", 0, 4, rows[1:], bad=1, dead_letter=path)
    return prediction(world.readings[0], 0, 4)


async def test_a_replayed_reading_is_landed_once(world):
    """A reading that was dead-lettered and replayed is neither missing, doubled nor out of order."""
    late = await with_dead_reading(world)
    await world.file("telemetry", 4, 5, [(4, 0, world.readings[0])], replays=0)
    predictions = [*world.predictions()[1:], late]
    await world.land_predictions(predictions)
    await world.publish(*([one] for one in predictions))
    verdict = await verify(world.settings)
    assert verdict.is_clean, verdict
    counts = verdict.counts
    assert (counts.sent, counts.landed, counts.dead_lettered, counts.replayed) == (4, 4, 1, 1)


async def test_a_dead_letter_replayed_twice_is_a_fault(world):
    """If a dead letter lands from two events, the reading is doubled and the letter is named."""
    await with_dead_reading(world)
    rows = [(4, 0, world.readings[0]), (5, 0, world.readings[0])]
    await world.file("telemetry", 4, 6, rows, replays=0)
    verdict = await verify(world.settings)
    assert verdict.counts.doubled == 1
    assert "dead letter 0:0:0 was replayed 2 times" in verdict.faults


async def test_a_replay_of_no_dead_letter_is_a_fault(sound, stranger):
    """A row must resolve back to its dead letter."""
    await sound.file("telemetry", 4, 5, [(4, 0, stranger)], replays=3)
    assert (
        "dead letter 0:3:0, which was replayed, is in no file that counts"
        in (await verify(sound.settings)).faults
    )


async def test_named_dead_letters_that_are_gone_are_a_fault(sound):
    """A footer that names dead letters that do not exist is a loss."""
    await sound.file("telemetry", 4, 5, [], bad=2, dead_letter="dead-letters/telemetry/gone.ndjson")
    verdict = await verify(sound.settings)
    assert "counts 2 bad records" in verdict.faults[0]


async def test_bad_bodies_sent_on_purpose_must_be_dead_letters(sound):
    """The fleet's own bad bodies must all be dead letters."""
    facts = ({"bad_intent": 0, "position": 3, "seed": 7, "count": 2}, {"bad_acked": 0})
    record = sound.data / "simulator" / "bad-p00.ndjson"
    record.write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    assert "of 2 bad bodies" in (await verify(sound.settings)).faults[0]


async def test_other_senders_readings_land_and_are_priced_but_were_not_sent(sound, stranger):
    """Other senders' readings count as landed and need predictions; the fleet did not send them."""
    await sound.file("telemetry", 4, 5, [(4, 0, stranger)])
    counts = (await verify(sound.settings)).counts
    assert (counts.sent, counts.landed, counts.missing, counts.predictions_missing) == (4, 5, 0, 1)


async def test_an_intent_never_acknowledged_is_not_missing(sound):
    """After a crash between the hub's answer and the record, a reading is neither lost nor doubled."""
    sound.record((0, 3), (1, 3), is_acked=False)
    verdict = await verify(sound.settings)
    assert verdict.is_clean, verdict
    assert verdict.notes == ("2 readings were never acknowledged; 0 of them landed",)


async def test_a_file_that_cannot_be_read_is_a_fault(sound):
    """A torn file is named, and its rows are missing."""
    await sound.lake.write(ROWS_2, b"PAR1 but not really PAR1")
    verdict = await verify(sound.settings)
    assert verdict.counts.missing == 2
    assert "cannot be read" in verdict.faults[0]


async def test_in_a_running_stack_what_waits_in_the_hub_is_not_missing(sound):
    """Readings for the lake's next files are noted, not counted as lost; lost ones still are."""
    await sound.send(*sound.readings)
    await sound.lake.delete(ROWS_2)
    sound.record((0, 3))
    verdict = await verify(sound.settings, is_running=True)
    assert verdict.counts.missing == 1
    assert verdict.notes == ("2 readings wait in the hub for the lake's next files",)
