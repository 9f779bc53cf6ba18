"""`fleetprice chaos` as a person runs it, and with a broken commit rule, which it must detect."""

import json
import os
import subprocess
import sys

import pytest

from services.cli.chaos.schedule import Kind
from tests.support.mutations import ROOT, mutate_source

# The minimum number of fault kinds in a short run on a busy machine; long runs have all of them.
MIN_KINDS = 12
# Do not send longer to reach a missing kind of fault.
SHORT = {"FLEETPRICE_CHAOS_EXTRA_FLEETS": "0"}
# Broken source need not land everything, because gaps and doubles show earlier.
IMPATIENT = {"FLEETPRICE_CHAOS_STALL_LIMIT_S": "10"}


def chaos(data, *flags, source=ROOT, **environment):
    """Run it once. Return the exit code, its last line and its stderr."""
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


@pytest.mark.timeout(300)
def test_faults_of_every_kind_lose_and_double_nothing(tmp_path):
    """Writers without coordination, killed, stopped and cut off, land and price every reading once."""
    code, verdict, stderr = chaos(tmp_path / "data", "--seed", "7", "--seconds", "5", **SHORT)
    assert code == 0, (verdict, stderr)
    wrong = {name: verdict[name] for name in ("missing", "doubled", "out_of_order") if verdict[name]}
    assert wrong == {}
    assert verdict["sent"] == verdict["landed"] == verdict["predicted"] == 5_000
    struck = {kind.value for kind in Kind if verdict["faults"][kind]}
    assert len(struck) >= MIN_KINDS, struck


CHECKPOINT_FIRST = (
    (
        "services/ingest/partition.py",
        "        await self.committer.land(contents)\n",
        """\
        ahead = Head(contents.last + 1, contents.next_hour, contents.last_offset)
        await self._progress.note_commit(self.committer.chain.partition, ahead)
        await self.committer.land(contents)
""",
    ),
    (
        "services/ingest/stream.py",
        "        heads = await find_heads(self._lake, self.name, rooted)\n",
        """\
        heads = await find_heads(self._lake, self.name, rooted)
        hints = await self._store.read_hints()
        for chain, head in heads.items():
            last = hints.get(str(chain.partition), -1)
            heads[chain] = Head(max(head.next_first, last + 1), head.next_hour)
""",
    ),
)
# Writers that share ownership: independent ones would land what a killed one skipped before it restarts.
COORDINATED = (
    (
        "services/cli/chaos/programs.py",
        'OWN_GROUP, STRAGGLERS_GROUP = "ingest-own", "ingest-straggler"',
        'OWN_GROUP, STRAGGLERS_GROUP = "ingest", "ingest"',
    ),
    ("services/cli/chaos/programs.py", '"checkpoints", "checkpoints-own"', '"checkpoints", "checkpoints"'),
    ("services/cli/chaos/programs.py", '"checkpoints-straggler"', '"checkpoints"'),
    (
        "services/cli/chaos/programs.py",
        'GROUPS = ("$Default", "ingest", "scorer", OWN_GROUP, STRAGGLERS_GROUP)',
        'GROUPS = ("$Default", "ingest", "scorer")',
    ),
)
LAST_IN_NAME = (
    (
        "services/ingest/commit.py",
        "slot = self.chain.slot(head.next_hour, step.first)",
        'slot = self.chain.slot(head.next_hour, step.first)[:-8] + f"-{step.last:020d}.parquet"',
    ),
    # Readers of the lake accept such names as files of the chain.
    (
        "shared/lake/slots/slot.py",
        r'(?P<first>\d{{20}})\.parquet"',
        r'(?P<first>\d{{20}})(-\d{{20}})?\.parquet"',
    ),
    (
        "services/cli/verify/chain.py",
        r'(?P<first>\d{20})\.parquet"',
        r'(?P<first>\d{20})(-\d{20})?\.parquet"',
    ),
    ("services/cli/chaos/lake_files.py", r'-(\d{20})\.parquet"', r'-(\d{20})(?:-\d{20})?\.parquet"'),
)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "mutations", [CHECKPOINT_FIRST + COORDINATED, LAST_IN_NAME], ids=["checkpoint first", "last in name"]
)
def test_a_broken_commit_rule_would_be_detected(tmp_path, mutations):
    """Mutations: the checkpoint is written before the file and read at start; names have the last event."""
    data, source = tmp_path / "data", mutate_source(tmp_path, *mutations)
    code, verdict, stderr = chaos(data, "--seed", "10", "--seconds", "6", source=source, **SHORT, **IMPATIENT)
    assert code == 1
    log = (data / "logs" / "verify.log").read_text()
    assert verdict["doubled"] > 0 or "are in no file" in log or "overlaps" in log
    assert str(data) in stderr
