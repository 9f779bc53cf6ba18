"""A long backlog: the cost of writing it, recovering it after a kill -9, and reading from anywhere in it.

`python -m services.cli.bench.micro.retention --gigabytes 10` needs that much disk space, and deletes the
files that it wrote.
"""

import argparse
import asyncio
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from services.cli.bench.micro.hub_process import HubProcess, Run, run_hub
from services.cli.bench.micro.raw_client import BATCH

HUB = "telemetry"
PARTITIONS = 4
# As the log keeps them, with 300 bytes of body.
BYTES_AN_EVENT = 424
READ_EVENTS = 2_000_000
_SAMPLE_S = 0.2


class Peak:
    """The peak of the emulator's resident memory during the block, in megabytes."""

    def __init__(self, hub: HubProcess) -> None:
        self.mb = 0.0
        self._hub = hub

    async def __aenter__(self) -> Self:
        self._sampling = asyncio.create_task(self._sample())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._sampling.cancel()
        with suppress(asyncio.CancelledError):
            await self._sampling

    async def _sample(self) -> None:
        while True:
            self.mb = max(self.mb, self._hub.resident_mb)
            await asyncio.sleep(_SAMPLE_S)


async def measure(data: Path, gigabytes: float) -> None:
    keeps = ("--retention-bytes", str(int(gigabytes * 2 * 10**9 / PARTITIONS) + (1 << 30)))
    events = int(gigabytes * 1e9 / BYTES_AN_EVENT / PARTITIONS) // BATCH * BATCH
    async with run_hub(data, *keeps) as hub:
        show("ready, empty", f"{hub.ready_s:.2f} s, {hub.resident_mb:.0f} MB")
        times = await write_all(hub, events)
        show_files(data, events)
        hub.process.kill()
    middle = times[0] + (times[1] - times[0]) / 2
    async with run_hub(data, *keeps) as hub:
        show("ready after kill -9", f"{hub.ready_s:.2f} s, {hub.resident_mb:.0f} MB")
        selector = "amqp.annotation.x-opt-offset > '-1'"
        await read(hub, "from the start", min(events, READ_EVENTS), selector=selector)
        selector = f"amqp.annotation.x-opt-enqueued-time > '{int(middle.timestamp() * 1000)}'"
        await read(hub, "from the middle, by time", min(events // 4, READ_EVENTS), selector=selector)
        selector = f"amqp.annotation.x-opt-sequence-number >= '{events * 3 // 4}'"
        await read(hub, "from 3/4, by number", min(events // 4, READ_EVENTS), selector=selector)
        await read(hub, "read a whole partition", events, partition=PARTITIONS - 1)


async def write_all(hub: HubProcess, events: int) -> list[datetime]:
    """Fill the partitions one after another. Return the time at which each one was begun."""
    times = []
    async with Peak(hub) as peak:
        for partition in range(PARTITIONS):
            times.append(datetime.now(UTC))
            address = f"{HUB}/Partitions/{partition}"
            run = await hub.run_client("raw_client", "send", port=hub.port, address=address, events=events)
            show(f"write partition {partition}", rate(run))
    show("resident while writing", f"at most {peak.mb:.0f} MB")
    return times


async def read(hub: HubProcess, name: str, events: int, partition: int = 0, **options: object) -> None:
    async with Peak(hub) as peak:
        source = f"{HUB}/ConsumerGroups/$Default/Partitions/{partition}"
        run = await hub.run_client(
            "raw_client", "receive", port=hub.port, address=source, events=events, **options
        )
    show(name, f"first after {run.first_s * 1000:.0f} ms, {rate(run)}; at most {peak.mb:.0f} MB")


def show_files(data: Path, events: int) -> None:
    files = list((data / "event_hubs" / HUB).rglob("*.log"))
    kept = sum(file.stat().st_size for file in files)
    show("kept", f"{kept / 1e9:.2f} GB in {len(files)} segments; {kept / events / PARTITIONS:.0f} B an event")


def rate(run: Run) -> str:
    return f"{run.events:,} events, {run.rate:,.0f} events/s, {run.hub_us:.2f} µs of its CPU each"


def show(what: str, figure: str) -> None:
    print(f"{what:<26}{figure}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.cli.bench.micro.retention", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=10.0)
    parser.add_argument("--directory", type=Path, help="with enough space; default: a temporary one")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=flags.directory) as directory:
        asyncio.run(measure(Path(directory) / "data", flags.gigabytes))


if __name__ == "__main__":
    main()
