"""The memory of ingest under a steady load, over time.

`python -m services.cli.bench.ingest.soak --minutes 30` prints one line per minute. It exits with code 1 if
the peak is above the limit, or if the memory grew by more than 1 % over the last half of the run. Growth is
measured between the medians of the first and the last third of that half, because a garbage-collected heap
varies.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from azure.eventhub import EventData, EventDataBatch
from azure.eventhub.aio import EventHubProducerClient

from services.cli.bench.bodies import make_body
from services.cli.bench.embedded_azure import EmbeddedAzure
from services.cli.bench.ingest.embedded_ingest import MAX_RESIDENT_BYTES, MB, ingest_process, start_azure
from services.cli.bench.measured_process import MeasuredProcess
from shared.codec.body_decoder import JSON

HUB = "soak"
MAX_GROWTH = 0.01
_SAMPLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The resident memory of ingest at `at_s` seconds after the load began."""

    at_s: float
    resident_bytes: int


def compute_growth(samples: Sequence[Sample]) -> float:
    """Return by which fraction the resident memory grew over the last half of the samples."""
    settled = samples[len(samples) // 2 :]
    third = max(1, len(settled) // 3)
    before, after = (
        statistics.median(one.resident_bytes for one in part) for part in (settled[:third], settled[-third:])
    )
    return after / before - 1


async def run_soak(minutes: float, partitions: int, rate: int) -> int:
    """Run ingest under a steady load of `rate` events a second.

    Return exit code 1 if its memory is above the limit or grew too much, otherwise 0.
    """
    async with (
        start_azure(HUB, partitions) as azure,
        ingest_process(azure, HUB, roll_max_age_s=20) as program,
    ):
        await program.wait_for_log("partition_opened")
        stop = asyncio.Event()  # the SDK may swallow a cancellation
        sending = asyncio.create_task(_send(azure, partitions, rate, stop))
        try:
            samples = await _sample(program, minutes * 60, sending)
            peak = program.usage().peak_bytes
        finally:
            stop.set()
            await asyncio.wait([sending])
    grown = compute_growth(samples)
    print(f"{partitions} partitions, {rate} events/s: peak {peak / MB:.0f} MB, grown {grown:+.2%}")
    return int(peak > MAX_RESIDENT_BYTES or grown > MAX_GROWTH)


async def _send(azure: EmbeddedAzure, partitions: int, rate: int, stop: asyncio.Event) -> None:
    """Send `rate` events every second, until `stop` is set.

    Within each second, every partition gets one batch in turn.
    """
    client = EventHubProducerClient.from_connection_string(azure.event_hubs, eventhub_name=HUB)
    async with client:
        batches = [
            await _batch(client, partition, max(1, rate // partitions)) for partition in range(partitions)
        ]
        started_s, sent = time.monotonic(), 0
        while not stop.is_set():
            for batch in batches:
                await client.send_batch(batch)
                sent += 1
                due_s = started_s + sent / partitions
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))


async def _batch(client: EventHubProducerClient, partition: int, events: int) -> EventDataBatch:
    batch = await client.create_batch(partition_id=str(partition))
    for number in range(events):
        event = EventData(make_body(JSON, partition * events + number, 1))
        event.content_type = JSON
        batch.add(event)
    return batch


async def _sample(program: MeasuredProcess, seconds: float, sending: asyncio.Task[None]) -> list[Sample]:
    samples: list[Sample] = []
    started_s = time.monotonic()
    while (at_s := time.monotonic() - started_s) < seconds:
        if sending.done():
            sending.result()
        samples.append(Sample(at_s, program.usage().resident_bytes))
        if len(samples) == 1 or at_s // 60 > samples[-2].at_s // 60:
            print(f"{at_s / 60:6.1f} min {samples[-1].resident_bytes / MB:8.0f} MB", flush=True)
        await asyncio.sleep(_SAMPLE_S)
    return samples


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m services.cli.bench.ingest.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--partitions", type=int, default=32)
    parser.add_argument("--rate", type=int, default=3_200, help="events a second, over all partitions")
    flags = parser.parse_args()
    return asyncio.run(run_soak(flags.minutes, flags.partitions, flags.rate))


if __name__ == "__main__":
    sys.exit(main())
