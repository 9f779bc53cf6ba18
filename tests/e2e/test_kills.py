"""The whole stack under load, killed with SIGKILL at failpoints, then verified.

Some tests break the order of effects in a copy of the source: `verify` must detect it, or the other tests
could not fail.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from contextlib import contextmanager

import psutil
import pytest

from tests.support.mutations import ROOT, mutate_source

CALM_STATUSES = 3


@contextmanager
def stack(data, *flags, source=ROOT, **environment):
    """Run an `up` that sends until Ctrl-C and restarts services quickly. Yield its process and lines."""
    command = [sys.executable, "-m", "services.cli", "up", "--json", "--port-base", "0", "--data", str(data)]
    quick = {
        "FLEETPRICE_INGEST_ROLL_MAX_AGE_S": "0.5",
        "FLEETPRICE_BALANCING_INTERVAL_S": "0.5",
        "FLEETPRICE_OWNERSHIP_EXPIRY_S": "3",  # how long a killed owner's partitions are not read
        "FLEETPRICE_UP_INTERRUPT_LIMIT_S": "60",
        "PYTHONPATH": str(source),
    }
    with subprocess.Popen(
        [*command, *flags],
        stdout=subprocess.PIPE,
        text=True,
        cwd=source,
        env={**os.environ, **quick, **environment},
    ) as process:
        try:
            yield process, map(json.loads, process.stdout)
        finally:
            process.kill()


def run_under_kills(data, failpoints, *flags, source=ROOT):
    """Send until every failpoint has made all its kills, drain and verify. Return exit code and verdict."""
    log = data.parent / "kills"
    armed = {point.partition("=")[0]: int(point.rpartition("*")[2]) for point in failpoints.split(",")}
    environment = {"FLEETPRICE_FAILPOINTS": failpoints, "FLEETPRICE_FAILPOINTS_LOG": str(log)}
    with stack(data, *flags, source=source, **environment) as (process, lines):
        calm = 0  # statuses with predictions since the last kill
        for line in lines:
            if line["event"] == "status" and log.exists() and Counter(log.read_text().split()) == armed:
                calm += bool(line["predicted_per_s"])
                if calm == CALM_STATUSES:
                    process.send_signal(signal.SIGINT)
        process.wait()
    assert Counter(log.read_text().split()) == armed
    return verify(data, source)


def verify(data, source):
    """Run `verify`, which serves the directory itself. Return exit code and verdict."""
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "verify", "--json", "--data", str(data)],
        capture_output=True,
        text=True,
        check=False,
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def post(url, body):
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=10):
        pass


def losses(verdict):
    """Return the counts of lost, doubled and disordered records that are not 0."""
    return {
        name: verdict[name]
        for name in ("missing", "doubled", "out_of_order", "predictions_missing", "predictions_doubled")
        if verdict[name]
    }


@pytest.mark.timeout(0)  # `make chaos` sets more kills; each run ends by itself
@pytest.mark.parametrize(
    ("every", "pack"),
    [
        ({"simulator_acked": 60, "scorer_sent": 90}, "1"),
        ({"ingest_staged": 6, "ingest_renamed": 10}, "50"),
        ({"hub_appended": 400, "storage_committed": 60}, "1"),
    ],
    ids=["senders", "ingest", "hub and storage"],
)
def test_a_kill_at_any_named_point_loses_and_doubles_nothing(every, pack, kills, tmp_path):
    """Each failpoint kills its process three times under load; every reading lands and is priced once."""
    failpoints = ",".join(f"{point}={passes}*{kills}" for point, passes in every.items())
    code, verdict = run_under_kills(tmp_path / "data", failpoints, "--vehicles", "300", "--pack", pack)
    assert losses(verdict) == {}
    assert code == 0
    # An interrupted last send may have landed without being acknowledged; the next start would find it.
    assert verdict["landed"] == verdict["predicted"] >= verdict["sent"] > 1_000


def test_an_acknowledgement_before_the_send_would_be_detected(tmp_path):
    """Mutation: acknowledge, then send. The same kill then loses readings, and `verify` reports them."""
    into_hub = "        await self._send_to_hub(events)\n"
    reach, ack = '        failpoints.reach("simulator_acked")\n', "        record.ack()\n"
    source = mutate_source(
        tmp_path,
        ("services/simulator/publisher.py", into_hub + reach + ack, ack + reach + into_hub),
    )
    code, verdict = run_under_kills(tmp_path / "data", "simulator_acked=40*3", source=source)
    assert code == 1
    assert verdict["missing"] > 0


def test_a_scorer_that_trusts_its_checkpoint_would_be_detected(tmp_path):
    """Mutation: resume from the checkpoint blob, not from the output, with readers that drop no doubles."""
    source = mutate_source(
        tmp_path,
        ("services/scorer/stream/resume.py", "    after = tail.after\n", "    after = None\n"),
        (
            "shared/predictions/watermark.py",
            "if held is not None and not _is_above",
            "if held == mark and not _is_above",
        ),
    )
    code, verdict = run_under_kills(tmp_path / "data", "scorer_sent=40*3", source=source)
    assert code == 1
    assert verdict["predictions_doubled"] > 0


def test_a_detach_with_full_buffers_costs_nothing(tmp_path):
    """Readers are stopped while their links fill, then every link is cut: nothing is lost or doubled."""
    detached = 0
    line = {}
    with stack(tmp_path / "data", "--vehicles", "1000", "--rate", "2", "--seconds", "20") as (process, lines):
        admin = next(lines)["admin"]
        for line in lines:
            if line["event"] == "status" and line["sent_per_s"] and detached < 3:
                with suspended(process, "services.ingest", "services.scorer"):
                    before = count_enqueued(admin)
                    for _ in range(3):
                        next(lines)  # three seconds without a reader
                    assert count_enqueued(admin) - before > 1_000
                    post(f"{admin}/faults", {"kind": "detach", "role": "receiver"})
                detached += 1
        assert process.wait() == 0
    assert detached == 3
    assert losses(line) == {}
    assert line["sent"] == line["landed"] > 10_000


def count_enqueued(admin):
    """Return the number of events that the telemetry hub has enqueued, by its admin API."""
    with urllib.request.urlopen(f"{admin}/hubs", timeout=10) as response:
        (hub,) = [hub for hub in json.load(response) if hub["name"] == "telemetry"]
    return sum(one["last_enqueued_sequence_number"] + 1 for one in hub["partitions"])


@contextmanager
def suspended(stack_process, *modules):
    """Suspend the stack's services of these modules during the block."""
    children = psutil.Process(stack_process.pid).children()
    held = [child for child in children if child.cmdline()[-1] in modules]
    assert len(held) == len(modules)
    for child in held:
        child.suspend()
    try:
        yield
    finally:
        for child in held:
            child.resume()
