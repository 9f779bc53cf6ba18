"""The peak memory of ingest while it catches up on many partitions of very large events.

`python -m services.cli.bench.ingest.large_events` exits with code 1 if the peak is above the limit.
"""

import argparse
import asyncio
import sys

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient

from services.cli.bench.bodies import make_body
from services.cli.bench.embedded_azure import EmbeddedAzure
from services.cli.bench.ingest.embedded_ingest import MAX_RESIDENT_BYTES, MB, ingest_process, start_azure
from services.cli.bench.measured_process import MeasuredProcess
from shared.codec.body_decoder import NDJSON

HUB = "large"
MAX_BODY_BYTES = 1_000_000
_MAX_READINGS = 3_000  # as lines, 1 MB
_LOOK_S = 0.5


async def catch_up(partitions: int, events: int, readings: int, variables: dict[str, str]) -> int:
    """Let ingest catch up on a hub that is filled beforehand.

    Each event has `readings` readings; if `readings` is 0, the events cannot be decoded. Return exit code 1
    if the peak memory of ingest is above the limit, otherwise 0.
    """
    event_body = make_body(NDJSON, 0, readings) if readings else b"\xff" * MAX_BODY_BYTES
    async with start_azure(HUB, partitions) as azure:
        await _fill(azure, partitions, events, event_body)
        async with ingest_process(azure, HUB, roll_max_age_s=5, **variables) as program:
            await _wait_until_landed(program, partitions * events * max(1, readings))
            used = program.usage()
    print(
        f"{partitions} partitions of {events} events of {len(event_body):,} bytes, "
        f"{partitions * events * len(event_body) / MB:,.0f} MB: "
        f"peak {used.peak_bytes / MB:.0f} MB, {used.cpu_s:.1f} CPU s",
        flush=True,
    )
    return int(used.peak_bytes > MAX_RESIDENT_BYTES)


async def _fill(azure: EmbeddedAzure, partitions: int, events: int, event_body: bytes) -> None:
    client = EventHubProducerClient.from_connection_string(azure.event_hubs, eventhub_name=HUB)
    async with client:
        for partition in range(partitions):
            for _ in range(events):
                event = EventData(event_body)
                event.content_type = NDJSON
                await client.send_batch([event], partition_id=str(partition))


async def _wait_until_landed(program: MeasuredProcess, records: int) -> None:
    """Wait until every record is committed, as a row or as a dead letter."""
    await program.wait_for_log("partition_opened")
    while sum(one["rows"] + one["bad"] for one in program.logged_events("file_committed")) < records:
        program.check_running()
        await asyncio.sleep(_LOOK_S)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m services.cli.bench.ingest.large_events", description=__doc__
    )
    parser.add_argument("--partitions", type=int, default=32)
    parser.add_argument("--events", type=int, default=24, help="to each partition")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of ingest")
    flags = parser.parse_args()
    variables = dict(one.split("=", 1) for one in flags.set)
    return max(
        asyncio.run(catch_up(flags.partitions, flags.events, readings, variables))
        for readings in (_MAX_READINGS, 0)
    )


if __name__ == "__main__":
    sys.exit(main())
