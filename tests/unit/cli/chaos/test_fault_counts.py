import json

from services.cli.chaos.fault_counts import NEEDED, FaultCounts
from services.cli.chaos.schedule import Kind


def listed(**struck):
    return [{"id": name.replace("_", "-"), "struck": times} for name, times in struck.items()]


def write(log, *events):
    log.write_text("".join(json.dumps(event) + "\n" for event in events))


def test_an_armed_fault_counts_once_it_strikes(tmp_path):
    """A fault that met nothing has not happened."""
    fault_counts = FaultCounts()
    fault_counts.note_armed("storage-1", Kind.STORAGE_FAILED)
    fault_counts.note_struck(listed(storage_1=0))
    assert not fault_counts.has_happened(Kind.STORAGE_FAILED)
    fault_counts.note_struck(listed(storage_1=3))
    assert fault_counts.has_happened(Kind.STORAGE_FAILED)
    assert fault_counts.totals(tmp_path, [])["storage_failed"] == 3


def test_a_restarted_emulator_counts_from_0(tmp_path):
    """What struck before a kill is kept, though the restarted emulator gives out the same ids."""
    fault_counts = FaultCounts()
    fault_counts.note_armed("storage-1", Kind.STORAGE_FAILED)
    fault_counts.note_struck(listed(storage_1=3))
    fault_counts.note_emulator_end()
    fault_counts.note_armed("storage-1", Kind.STORAGE_SLOWED)
    fault_counts.note_struck(listed(storage_1=2))
    fault_counts.note_armed("storage-1", Kind.STORAGE_FAILED)  # it ended by itself, unnoticed
    fault_counts.note_struck(listed(storage_1=1, storage_2=7))
    found = fault_counts.totals(tmp_path, [])
    assert (found["storage_failed"], found["storage_slowed"]) == (4, 2)


def test_every_kind_has_a_count(tmp_path):
    """A kind that did not happen is reported as 0, not left out."""
    fault_counts = FaultCounts()
    fault_counts.add(Kind.HOUR_CHANGED)
    found = fault_counts.totals(tmp_path, [])
    assert found.keys() >= set(NEEDED)
    assert found["hour_changed"] == 1
    assert sum(found.values()) == 1


def test_the_effects_are_counted_in_the_writers_logs(tmp_path):
    """Races, lost slots and sweeps are counted in the logs of those that met them; torn lines are skipped."""
    opened = {"event": "partition_opened", "stream": "telemetry", "partition": 0, "next_sequence_number": 0}
    swept = {"event": "staging_swept", "stream": "telemetry", "attempts": 2}
    lost = {"event": "slot_lost", "path": "raw/telemetry/…"}
    write(tmp_path / "ingest-0.log", opened, swept, {**opened, "next_sequence_number": 7})
    write(tmp_path / "ingest-1.log", opened, opened, lost, {**opened, "partition": 1})
    with (tmp_path / "ingest-1.log").open("a") as log:
        log.write('{"event": "slot_lo')
    (tmp_path / "failpoints").write_text("ingest_staged\nscorer_sent\ningest_staged\n")
    found = FaultCounts().totals(tmp_path, ["ingest-0", "ingest-1", "ingest-2"])
    assert {name: times for name, times in found.items() if times} == {
        "first_file_raced": 1,
        "slot_lost": 1,
        "swept": 2,
        "killed_at_ingest_staged": 2,
        "killed_at_scorer_sent": 1,
    }
