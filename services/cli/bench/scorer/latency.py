"""The latency of a price at a steady rate: from hub to hub, and from making a reading to receiving its price.

`python -m services.cli.bench.scorer.latency` runs the emulator and an unchanged scorer as separate processes.
This process sends 1,000 readings a second, makes each one just before it is sent, and receives the
predictions with the unmodified SDK. It prints one JSON object per figure: milliseconds, and the promised
maximum. Readings of the first seconds do not count. With `--low-latency`, the scorer and the receiver process
events as they arrive.

`fleetprice bench` measures the same figures. All processes share all cores, so the figures are meaningful
only on a quiet machine.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import uvloop
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient, PartitionContext

from services.cli.bench.bodies import make_readings
from services.cli.bench.embedded_azure import Cores, EmbeddedAzure, start_embedded_azure
from services.cli.bench.figure import Figure, percentile
from services.cli.bench.hub_load import PARTITIONS
from services.cli.bench.ingest.laps import wait_until_settled
from services.cli.bench.measured_process import MeasuredProcess
from shared.codec.body_decoder import JSON
from shared.contract.prediction import Prediction
from shared.service.tasks import cancel_until_done
from shared.streams.event_hubs.low_latency_receiver import receive_promptly
from shared.streams.event_hubs.messages import read_body, read_enqueued_us, read_sequence_number

TELEMETRY, OUTPUT, FILE_SYSTEM = "latency", "latency-out", "latency"
_WARM_UP_S, _TICK_S = 3.0, 0.02
# After each such number of events the SDK pauses for a quarter of a second before it grants more credit.
_PREFETCH = 3_000
_UNIT = "ms of at most"
_SECONDS, _RATE = 30.0, 1_000
_PROMISED = (("hub_to_hub", 99, 100.0), ("made_to_received", 95, 180.0), ("made_to_received", 99, 200.0))
_PROMISED_LOW = (("hub_to_hub", 99, 100.0), ("made_to_received", 99, 120.0))
LATENCIES = {"score_latency": False, "score_latency_low": True}
_OnBatch = Callable[[PartitionContext, list[EventData]], Awaitable[None]]
_DECODER = msgspec.json.Decoder(Prediction)


class Latencies:
    """The latencies of received predictions, and the enqueued times of predictions and source events."""

    def __init__(self) -> None:
        self.count = 0
        self.counts_from = datetime.max.replace(tzinfo=UTC)
        self._made_to_received_ms: list[float] = []
        self._priced_us: dict[tuple[int, int], int] = {}
        self._source_us: dict[tuple[int, int], int] = {}

    async def on_predictions(self, _context: PartitionContext, events: list[EventData]) -> None:
        now = datetime.now(UTC)
        for event in events:
            for one in _DECODER.decode_lines(read_body(event)):
                self.count += 1
                if one.reading_at >= self.counts_from:
                    self._made_to_received_ms.append((now - one.reading_at).total_seconds() * 1e3)
                    self._priced_us[one.source_partition, one.source_sequence_number] = read_enqueued_us(
                        event
                    )

    async def on_telemetry(self, context: PartitionContext, events: list[EventData]) -> None:
        for event in events:
            self._source_us[int(context.partition_id), read_sequence_number(event)] = read_enqueued_us(event)

    def has_all_sources(self) -> bool:
        return self._priced_us.keys() <= self._source_us.keys()

    def figures(self, *, low_latency: bool) -> list[Figure]:
        """Return the figures; the `floor` of each is the promised maximum."""
        hub_to_hub_ms = [(at - self._source_us[place]) / 1e3 for place, at in self._priced_us.items()]
        found = {"hub_to_hub": hub_to_hub_ms, "made_to_received": self._made_to_received_ms}
        figures = []
        for name, percent, promised_ms in _PROMISED_LOW if low_latency else _PROMISED:
            ms = percentile(found[name], percent)
            title = f"{name}{'_low' if low_latency else ''}_p{percent}"
            cores = len(Cores.split(0).serving)
            figures.append(Figure(title, ms, promised_ms, ms / promised_ms, _UNIT, cores, ms, promised_ms))
        return figures


@asynccontextmanager
async def _receive(client: EventHubConsumerClient, on_batch: _OnBatch) -> AsyncIterator[None]:
    task = asyncio.create_task(client.receive_batch(on_batch, starting_position="-1", prefetch=_PREFETCH))
    try:
        yield
    finally:
        await cancel_until_done(task)


async def _send(event_hubs: str, rate: int, seconds: float, latencies: Latencies) -> int:
    """Send as many new readings to every partition in each tick.

    Return the total number of readings that were sent.
    """
    fleet = make_readings(0, max(1, round(rate * _TICK_S / PARTITIONS)))
    async with EventHubProducerClient.from_connection_string(event_hubs, eventhub_name=TELEMETRY) as client:

        async def send(partition: int) -> None:
            new = [msgspec.structs.replace(one, reading_at=datetime.now(UTC)) for one in fleet]
            batch = await client.create_batch(partition_id=str(partition))
            for one in new:
                event = EventData(msgspec.json.encode(one))
                event.content_type = JSON
                batch.add(event)
            await client.send_batch(batch)

        await asyncio.gather(*map(send, range(PARTITIONS)))  # opens the links, which takes a second
        latencies.counts_from = datetime.now(UTC) + timedelta(seconds=_WARM_UP_S)
        ticks, started_s = round((_WARM_UP_S + seconds) / _TICK_S), time.monotonic()
        for tick in range(1, ticks + 1):
            await asyncio.gather(*map(send, range(PARTITIONS)))
            await asyncio.sleep(started_s + tick * _TICK_S - time.monotonic())
    return (ticks + 1) * len(fleet) * PARTITIONS


async def measure_latency(
    azure: EmbeddedAzure, rate: int = _RATE, seconds: float = _SECONDS, *, low_latency: bool
) -> list[Figure]:
    """Measure an unchanged scorer that shares all cores with the hub, the sender and the receiver."""
    azure.emulator.pin(Cores.split(0).serving)
    latencies = await _measure(azure, rate, seconds, low_latency=low_latency)
    return latencies.figures(low_latency=low_latency)


async def _measure(azure: EmbeddedAzure, rate: int, seconds: float, *, low_latency: bool) -> Latencies:
    latencies = Latencies()
    variables = azure.variables(
        FILE_SYSTEM=FILE_SYSTEM,
        TELEMETRY_HUB=TELEMETRY,
        PREDICTIONS_HUB=OUTPUT,
        BALANCING_INTERVAL_S=2,
        SCORER_HTTP="false",
        SCORER_LOW_LATENCY=str(low_latency).lower(),
    )
    client = EventHubConsumerClient.from_connection_string
    async with (
        azure.hub(TELEMETRY, PARTITIONS),
        azure.hub(OUTPUT, PARTITIONS),
        azure.file_system(FILE_SYSTEM),
        MeasuredProcess("services.scorer", [], variables, azure.folder / "latency.log") as program,
        client(azure.event_hubs, "$Default", eventhub_name=OUTPUT) as predictions,
        client(azure.event_hubs, "$Default", eventhub_name=TELEMETRY) as telemetry,
    ):
        if low_latency:
            receive_promptly(predictions)
        await wait_until_settled(program)
        async with _receive(predictions, latencies.on_predictions):
            sent = await _send(azure.event_hubs, rate, seconds, latencies)
            while latencies.count < sent:
                await asyncio.sleep(_TICK_S)
                program.check_running()
        async with _receive(telemetry, latencies.on_telemetry):
            while not latencies.has_all_sources():
                program.check_running()
                await asyncio.sleep(_TICK_S)
    return latencies


async def _run(rate: int, seconds: float, *, low_latency: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="fleetprice-latency-") as folder:
        async with start_embedded_azure(Path(folder)) as azure:
            figures = await measure_latency(azure, rate, seconds, low_latency=low_latency)
    for one in figures:
        print(json.dumps(one.as_dict()), flush=True)  # noqa: T201 - the output of the command


def main() -> None:
    """Run the latency benchmark once, and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m services.cli.bench.scorer.latency", description=__doc__)
    parser.add_argument("--rate", type=int, default=_RATE, help="readings a second")
    parser.add_argument("--seconds", type=float, default=_SECONDS)
    parser.add_argument("--low-latency", action="store_true")
    flags = parser.parse_args()
    uvloop.run(_run(flags.rate, flags.seconds, low_latency=flags.low_latency))


if __name__ == "__main__":
    main()
