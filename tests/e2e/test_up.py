"""`fleetprice up` as a person or a program runs it: real processes, real ports, real files."""

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager

import psutil
import pyarrow.dataset
from azure.eventhub import parse_connection_string
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

from tests.support.processes import ROOT

SERVICES = {"emulator", "ingest", "scorer", "simulator"}
CLEAN = dict.fromkeys(
    ("missing", "doubled", "out_of_order", "predictions_missing", "predictions_doubled"),
    0,
)


class Up:
    """One run of `fleetprice up`: its process, and the JSON objects that it writes."""

    def __init__(self, data, *flags, **environment):
        command = [sys.executable, "-m", "services.cli", "up", "--data", str(data), "--json", *flags]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "FLEETPRICE_OWNERSHIP_EXPIRY_S": "3", **environment},
        )

    def next(self, event):
        """Return the next object of this kind. Fails if the run ends before."""
        for line in self.process.stdout:
            written = json.loads(line)
            if written["event"] == event:
                return written
        raise AssertionError(f"no {event}: {self.process.stderr.read()}")

    def children(self):
        """Map each service to its process."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            module = child.cmdline()[-1]
            found[module.removeprefix("services.")] = child
        return found

    def wait(self):
        """Wait for its end. Return the exit code and stderr."""
        _, err = self.process.communicate(timeout=240)
        return self.process.returncode, err


@contextmanager
def running(data, *flags, **environment):
    up = Up(data, "--port-base", "0", *flags, **environment)
    try:
        yield up
    finally:
        up.process.kill()
        up.process.communicate()


@contextmanager
def run_beside(ready, verb, *flags, **environment):
    """Run one of the user's own processes beside a running stack."""
    world = {"FLEETPRICE_EVENT_HUBS": ready["event_hubs"], "FLEETPRICE_STORAGE": ready["storage"]}
    with subprocess.Popen(
        [sys.executable, "-m", "services.cli", verb, *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **world, **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def list_owners(ready):
    """Map each hub and consumer group to the owner of each partition."""
    namespace = parse_connection_string(ready["event_hubs"]).fully_qualified_namespace
    async with BlobCheckpointStore.from_connection_string(ready["storage"], "checkpoints") as store:
        return {
            place: {
                claim["partition_id"]: claim["owner_id"]
                for claim in await store.list_ownership(namespace, *place)
                if claim["owner_id"]
            }
            for place in (("telemetry", "ingest"), ("telemetry", "scorer"), ("predictions", "ingest"))
        }


@contextmanager
def run_documented(page, ready, folder, **environment):
    """Run the first block of a page's shell commands beside a running stack."""
    block = re.search(r"```sh\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)[1]
    assert block.count("'…'") == 2
    for address in (ready["event_hubs"], ready["storage"]):
        block = block.replace("'…'", shlex.quote(address), 1)
    commands = block.replace(".venv/bin/fleetprice", f"{sys.executable} -m services.cli")
    with (folder / "documented.log").open("w") as log:
        shell = subprocess.Popen(
            ["bash", "-c", f"{commands}wait"],
            stderr=log,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def is_shared(owners):
    """Whether two processes have two partitions each."""
    return sorted(Counter(owners.values()).values()) == [2, 2]


def still_alive(processes):
    _, alive = psutil.wait_procs(processes, timeout=5)
    return alive


def counts(verdict):
    return {name: verdict[name] for name in CLEAN}


def fail_to_start(data, *flags, **environment):
    """Start a run that must fail. Return its exit code and stderr."""
    return Up(data, *flags, **environment).wait()


READY = {
    "event",
    *("event_hubs", "event_hubs_tls", "event_hubs_ws", "ca"),
    *("storage", "admin", "identity_endpoint", "identity_header"),
    *("data", "scorer"),
}


def test_a_run_ends_by_itself_with_everything_landed_and_priced(tmp_path):
    """--seconds: ready, status, verify; all readings and prices are in the lake; the next run continues."""
    data = tmp_path / "data"
    for run in (1, 2):
        with running(data, "--vehicles", "50", "--seconds", "5") as up:
            ready = up.next("ready")
            children = list(up.children().values())
            status = up.next("status")
            verdict = up.next("verify")
            code, _ = up.wait()
        assert code == 0
        assert set(ready) == READY
        assert {"sent_per_s", "landed_per_s", "predicted_per_s", "latency_ms", "newest"} <= set(status)
        assert {hub: set(lag) for hub, lag in status["lag"].items()} == {
            "telemetry": {"0", "1", "2", "3"},
            "predictions": {"0", "1", "2", "3"},
        }
        assert counts(verdict) == CLEAN
        assert verdict["sent"] == verdict["landed"] == verdict["predicted"] == run * 250
        assert not still_alive(children)
    lake = data / "storage" / "devstoreaccount1" / "lake" / "raw"
    for stream in ("telemetry", "predictions"):
        assert pyarrow.dataset.dataset(lake / stream, format="parquet").count_rows() == 500


def test_ctrl_c_drains_and_leaves_nothing_running(tmp_path):
    """Ctrl-C: within 10 s everything sent is landed, priced and verified, and every process has ended."""
    with running(tmp_path, "--vehicles", "100") as up:
        up.next("ready")
        while up.next("status")["predicted_per_s"] == 0:
            pass
        children = up.children()
        assert set(children) == SERVICES
        code, err = fail_to_start(tmp_path, "--port-base", "0")
        assert (code, err.count("\n")) == (2, 1)
        assert "in use by another fleetprice up" in err
        up.process.send_signal(signal.SIGINT)
        verdict = up.next("verify")
        code, _ = up.wait()
    assert code == 0
    assert counts(verdict) == CLEAN
    assert verdict["sent"] == verdict["landed"] > 0
    assert not still_alive(children.values())


def test_the_drain_waits_for_other_processes_no_longer_than_they_take(tmp_path):
    """If the user's own processes share the partitions, the run ends once they have landed and priced all
    readings, not at the drain's limit, and `verify` counts their work."""
    quick = {
        "FLEETPRICE_BALANCING_INTERVAL_S": "0.5",
        "FLEETPRICE_OWNERSHIP_EXPIRY_S": "5",
        "FLEETPRICE_INGEST_ROLL_MAX_AGE_S": "1",
        "FLEETPRICE_SCORER_CHECKPOINT_INTERVAL_S": "0.5",
    }
    with ExitStack() as processes:
        up = processes.enter_context(
            running(tmp_path, "--vehicles", "50", **quick, FLEETPRICE_UP_INTERRUPT_LIMIT_S="120")
        )
        ready = up.next("ready")
        for verb in ("ingest", "score"):
            processes.enter_context(run_beside(ready, verb, FLEETPRICE_SCORER_HTTP_PORT="0", **quick))
        while {len(set(found.values())) for found in asyncio.run(list_owners(ready)).values()} != {2}:
            up.next("status")
        while not up.next("status")["predicted_per_s"]:
            pass
        up.process.send_signal(signal.SIGINT)
        code, err = up.wait()
    assert (code, "readers_behind" in err) == (0, False), err
    command = [sys.executable, "-m", "services.cli", "verify", "--data", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    verdict = json.loads(done.stdout)
    assert (done.returncode, counts(verdict)) == (0, CLEAN), done.stderr
    assert verdict["sent"] == verdict["landed"] == verdict["predicted"] > 0


def test_the_documented_block_of_scale_out_shares_the_partitions(tmp_path):
    """Processes with the default times of balancing keep their partitions beside those of `up`, which balance
    more often: no partition moves once each has its share, and nothing is doubled, not even in the hub."""
    with running(tmp_path, "--vehicles", "50", FLEETPRICE_OWNERSHIP_EXPIRY_S="4") as up:
        ready = up.next("ready")
        with run_documented("scale-out.md", ready, tmp_path):
            while not all(map(is_shared, (shared := asyncio.run(list_owners(ready))).values())):
                up.next("status")
            for _ in range(15):  # a status a second: longer than the interval of the slower ones
                up.next("status")
            assert asyncio.run(list_owners(ready)) == shared
            up.process.send_signal(signal.SIGINT)
            verdict = up.next("verify")
    assert counts(verdict) == CLEAN
    assert verdict["predictions_doubled_raw"] == 0


def test_a_second_ctrl_c_ends_it_at_once(tmp_path):
    """A second Ctrl-C skips the drain, and nothing is left running."""
    with running(tmp_path, "--vehicles", "10") as up:
        up.next("ready")
        children = list(up.children().values())
        up.process.send_signal(signal.SIGINT)
        time.sleep(0.1)  # two signals at once would be delivered as one
        up.process.send_signal(signal.SIGINT)
        code, err = up.wait()
    assert code == 1
    assert "ended at once" in err
    assert not still_alive(children)


def test_a_killed_stack_leaves_no_process_behind(tmp_path):
    """kill -9 of `up` itself: its children end with it, and the next `up` uses the directory and verifies."""
    with running(tmp_path, "--vehicles", "50") as up:
        up.next("ready")
        while up.next("status")["sent_per_s"] == 0:
            pass
        children = list(up.children().values())
        up.process.kill()
        assert not still_alive(children)
    with running(tmp_path, "--vehicles", "50", "--seconds", "2") as up:
        assert counts(up.next("verify")) == CLEAN
        assert up.wait()[0] == 0


def test_any_service_may_be_killed_at_any_time(tmp_path):
    """kill -9 of each service in turn: all restart by themselves, and nothing is lost or doubled."""
    with running(tmp_path, "--vehicles", "100", "--seconds", "25") as up:
        up.next("ready")
        for service in sorted(SERVICES):
            while service not in up.children() or up.next("status")["predicted_per_s"] == 0:
                pass
            up.children()[service].kill()
            while up.next("status")["restarts"].get(service, 0) == 0:
                pass
        verdict = up.next("verify")
        code, err = up.wait()
    assert (code, counts(verdict)) == (0, CLEAN), err
    assert verdict["sent"] == verdict["landed"] == verdict["predicted"] > 1_000


def test_a_port_in_use_is_one_line(tmp_path):
    """Before anything starts, the error names the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, err = fail_to_start(tmp_path, "--port-base", str(port))
    assert code == 2
    assert (
        err
        == f"fleetprice: port {port} (for event hubs) is in use: free it, or choose others with --port-base\n"
    )


def test_a_services_misspelt_setting_is_one_line(tmp_path):
    """Before anything starts, the error names the misspelt variable."""
    code, err = fail_to_start(tmp_path, "--port-base", "0", FLEETPRICE_INGEST_ROL_MAX_AGE_S="1")
    assert code == 2
    assert err.startswith("fleetprice: FLEETPRICE_INGEST_ROL_MAX_AGE_S is not a setting; did you mean")
    assert err.count("\n") == 1
    assert not (tmp_path / "logs").exists()
