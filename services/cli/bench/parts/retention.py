"""A long backlog: what it costs to write, to come back after a kill -9, and to read from anywhere.

`python -m services.cli.bench.parts.retention --gigabytes 10` needs that much room (and deletes what it
wrote).
"""

import argparse
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from services.cli.bench.parts.hub_process import HubProcess, Run
from services.cli.bench.parts.raw_client import BATCH

HUB = "telemetry"
PARTITIONS = 4
# As the log keeps them, with 300 bytes of body.
BYTES_AN_EVENT = 424
READ_EVENTS = 2_000_000
_SAMPLE_S = 0.2


class Peak:
    """The most memory that the emulator has held resident while the block lasted, megabytes."""

    def __init__(self, hub: HubProcess) -> None:
        self.mb = 0.0
        self._hub = hub
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._is_over.wait(_SAMPLE_S):
            self.mb = max(self.mb, self._hub.resident_mb())


def measure(data: Path, gigabytes: float) -> None:
    keeps = ("--retention-bytes", str(int(gigabytes * 2 * 10**9 / PARTITIONS) + (1 << 30)))
    events = int(gigabytes * 1e9 / BYTES_AN_EVENT / PARTITIONS) // BATCH * BATCH
    hub = HubProcess(data, *keeps)
    say("ready, empty", f"{hub.ready_s:.2f} s, {hub.resident_mb():.0f} MB")
    times = []
    with Peak(hub) as peak:
        for partition in range(PARTITIONS):
            times.append(datetime.now(UTC))
            run = hub.client(
                "raw_client", "send", port=hub.port, address=f"{HUB}/Partitions/{partition}", events=events
            )
            say(f"write partition {partition}", rate(run))
    files = list((data / "event_hubs" / HUB).rglob("*.log"))
    kept = sum(file.stat().st_size for file in files)
    say("kept", f"{kept / 1e9:.2f} GB in {len(files)} segments; {kept / events / PARTITIONS:.0f} B an event")
    say("resident while writing", f"at most {peak.mb:.0f} MB")
    hub.kill()
    hub = HubProcess(data, *keeps)
    say("ready after kill -9", f"{hub.ready_s:.2f} s, {hub.resident_mb():.0f} MB")
    middle = times[0] + (times[1] - times[0]) / 2
    reading(hub, "from the start", "amqp.annotation.x-opt-offset > '-1'", min(events, READ_EVENTS))
    by_time = f"amqp.annotation.x-opt-enqueued-time > '{int(middle.timestamp() * 1000)}'"
    reading(hub, "from the middle, by time", by_time, min(events // 4, READ_EVENTS))
    number = f"amqp.annotation.x-opt-sequence-number >= '{events * 3 // 4}'"
    reading(hub, "from 3/4, by number", number, min(events // 4, READ_EVENTS))
    with Peak(hub) as peak:
        address = f"{HUB}/ConsumerGroups/$Default/Partitions/{PARTITIONS - 1}"
        run = hub.client("raw_client", "receive", port=hub.port, address=address, events=events)
    say("read a whole partition", f"{rate(run)}; at most {peak.mb:.0f} MB")
    hub.stop()


def reading(hub: HubProcess, name: str, selector: str, events: int) -> None:
    with Peak(hub) as peak:
        source = f"{HUB}/ConsumerGroups/$Default/Partitions/0"
        run = hub.client(
            "raw_client", "receive", port=hub.port, address=source, selector=selector, events=events
        )
    say(name, f"first after {run.first_s * 1000:.0f} ms, {rate(run)}; at most {peak.mb:.0f} MB")


def rate(run: Run) -> str:
    return f"{run.events:,} events, {run.rate:,.0f} events/s, {run.hub_us:.2f} µs of its CPU each"


def say(what: str, figure: str) -> None:
    print(f"{what:<26}{figure}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.cli.bench.parts.retention", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=10.0)
    parser.add_argument("--directory", type=Path, help="where there is room; a temporary one by default")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.directory) as directory:
        measure(Path(directory) / "data", asked.gigabytes)


if __name__ == "__main__":
    main()
