"""`fleetprice chaos` as a person runs it; and with the commit rule broken, which it must find out."""

import json
import os
import subprocess
import sys

import pytest

from tests.e2e.mutations import ROOT, mutated

# What strikes on any machine, however busy, as long as the fleets send.
ALWAYS_STRUCK = {
    "ingest_killed",
    "ingest_stopped",
    "scorer_killed",
    "emulator_killed",
    "rename_answer_dropped",
    "storage_failed",
    "storage_slowed",
    "clock_jumped",
    "hour_changed",
    "slot_lost",
}


def chaos(data, *flags, source=ROOT, **environment):
    """One run: (exit code, its last line, what it said on stderr)."""
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "chaos", "--json", "--data", str(data), *flags],
        capture_output=True,
        text=True,
        check=False,
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(source), **environment},
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.timeout(400)
def test_faults_of_every_kind_lose_and_double_nothing(tmp_path):
    """Writers without coordination, killed, stopped and cut off, land and price every reading once."""
    code, verdict, said = chaos(tmp_path / "data", "--seed", "1", "--seconds", "6")
    wrong = {name: verdict[name] for name in ("missing", "doubled", "out_of_order") if verdict[name]}
    assert (code, wrong) == (0, {}), said
    assert verdict["sent"] == verdict["landed"] == verdict["predicted"] >= 6_000
    assert {kind for kind in ALWAYS_STRUCK if not verdict["faults"][kind]} == set()
    folders = {path.name for path in (tmp_path / "data").glob("storage/*/lake/raw/telemetry/date=*/hour=*")}
    assert len(folders) > 1


def broken(tmp_path, source):
    """A run of broken source, which need not last until everything has struck or landed."""
    quick = {"FLEETPRICE_CHAOS_EXTRA_FLEETS": "0", "FLEETPRICE_CHAOS_STALL_LIMIT_S": "15"}
    code, verdict, said = chaos(tmp_path / "data", "--seed", "2", "--seconds", "6", source=source, **quick)
    assert code == 1
    assert str(tmp_path / "data") in said
    return verdict


CHECKPOINT_FIRST = (
    (
        "services/ingest/partition.py",
        "        await self.committer.land(cut)\n",
        """\
        ahead = Head(cut.last + 1, cut.next_hour, cut.last_offset)
        await self._checkpoint(self.committer.lane.partition, ahead)
        await self.committer.land(cut)
""",
    ),
    (
        "services/ingest/stream.py",
        "        heads = await find_heads(self._lake, self.stream, rooted)\n",
        """\
        heads = await find_heads(self._lake, self.stream, rooted)
        hints = await self._checkpoints.store.hints()
        for lane, head in heads.items():
            last = hints.get(str(lane.partition), -1)
            heads[lane] = Head(max(head.next_first, last + 1), head.next_hour)
""",
    ),
)
# Writers that share ownership: strangers would land what a death left out before the next life begins.
COORDINATED = (
    (
        "services/chaos/programs.py",
        'OWN_GROUP, STRAGGLERS_GROUP = "ingest-own", "ingest-straggler"',
        'OWN_GROUP, STRAGGLERS_GROUP = "ingest", "ingest"',
    ),
    ("services/chaos/programs.py", '"checkpoints", "checkpoints-own"', '"checkpoints", "checkpoints"'),
    ("services/chaos/programs.py", '"checkpoints-straggler"', '"checkpoints"'),
    (
        "services/chaos/programs.py",
        'GROUPS = ("$Default", "ingest", "scorer", OWN_GROUP, STRAGGLERS_GROUP)',
        'GROUPS = ("$Default", "ingest", "scorer")',
    ),
)
LAST_IN_NAME = (
    (
        "services/ingest/commit.py",
        "slot = self.lane.slot(head.next_hour, step.first)",
        'slot = self.lane.slot(head.next_hour, step.first)[:-8] + f"-{step.last:020d}.parquet"',
    ),
    # Whoever reads the lake takes such names for files of the chain.
    (
        "shared/slot_chain/slot.py",
        r'(?P<first>\d{{20}})\.parquet"',
        r'(?P<first>\d{{20}})(-\d{{20}})?\.parquet"',
    ),
    ("services/oracle/chain.py", r'(?P<first>\d{20})\.parquet"', r'(?P<first>\d{20})(-\d{20})?\.parquet"'),
    ("services/chaos/lake_files.py", r'-(\d{20})\.parquet"', r'-(\d{20})(?:-\d{20})?\.parquet"'),
)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "mutations", [CHECKPOINT_FIRST + COORDINATED, LAST_IN_NAME], ids=["checkpoint first", "last in name"]
)
def test_a_broken_commit_rule_would_be_found_out(tmp_path, mutations):
    """Mutations: the checkpoint before the file, and starting from it; the last event in a file's name."""
    # Broken source need not run until everything has struck, or landed: holes and doubles show before.
    quick = {"FLEETPRICE_CHAOS_EXTRA_FLEETS": "0", "FLEETPRICE_CHAOS_STALL_LIMIT_S": "15"}
    data, source = tmp_path / "data", mutated(tmp_path, *mutations)
    code, verdict, said = chaos(data, "--seed", "10", "--seconds", "6", source=source, **quick)
    assert code == 1
    told = (data / "logs" / "oracle.log").read_text()
    assert verdict["doubled"] > 0 or "are in no file" in told or "overlaps" in told
    assert str(data) in said
