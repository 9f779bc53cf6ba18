"""Samples the lag, the counters and the readiness of the running stack a few times a second."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
from azure.core.exceptions import AzureError

from services.cli.up.checkpoints import Checkpoints
from services.cli.up.rates import Rate
from services.cli.up.scrape import Sample, find_ends, find_next_sequences, parse_samples, sum_samples
from services.cli.up.sustained_lag import Place, SustainedLag

SAMPLE_INTERVAL_S = 0.2
RATE_WINDOW_S = 10.0
_CHECKPOINT_INTERVAL_S = 1.0
_POLL_S = 0.05
_TIMEOUT_S = 2.0
_TIMEOUT = aiohttp.ClientTimeout(total=_TIMEOUT_S)
_UNREACHABLE = (aiohttp.ClientError, AzureError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the services, as http://host:port."""

    admin: str
    scorer: str
    ingest: str
    simulator: str


class StackMonitor:
    """The lag and the rates of the stack, sampled by HTTP.

    A service that restarts gives no samples until it answers again.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        addresses: Addresses,
        hubs: tuple[str, str],
        checkpoints: Checkpoints,
    ) -> None:
        telemetry, predictions = hubs
        self._session = session
        self._checkpoints = checkpoints
        self._checkpoints_due_s = 0.0
        self._addresses = addresses
        self._telemetry = telemetry
        self._sampling = asyncio.Lock()
        self.lag = SustainedLag({telemetry: ("ingest", "scorer"), predictions: ("ingest",)})
        self.sent, self.landed, self.predicted = (Rate(RATE_WINDOW_S) for _ in range(3))

    async def is_ready(self) -> bool:
        """Return whether ingest and scorer are ready, and the position of every reader is known."""
        answers = await asyncio.gather(
            self._is_ok(f"{self._addresses.ingest}/readyz"), self._is_ok(f"{self._addresses.scorer}/readyz")
        )
        if all(answers):
            await self.sample()
        return all(answers) and self.lag.is_known()

    async def sample(self) -> bool:
        """Sample the hubs and then the services, so that events that arrive meanwhile do not count as lag.

        Return whether every reader has read all events that the hubs held in this sample.
        """
        async with self._sampling:  # two at once would read counters out of order
            return await self._sample()

    async def _sample(self) -> bool:
        are_hubs_known = await self._sample_hubs()
        ingest, scorer, simulator = await asyncio.gather(
            self._fetch_metrics(self._addresses.ingest),
            self._fetch_metrics(self._addresses.scorer),
            self._fetch_metrics(self._addresses.simulator),
        )
        reported: set[Place] = set()
        for reader, samples in (("ingest", ingest), ("scorer", scorer)):
            for (hub, partition), next_sequence in find_next_sequences(samples):
                self.lag.note_position(reader, hub, partition, next_sequence)
                reported.add((reader, hub, partition))
        now_s = time.monotonic()
        if now_s >= self._checkpoints_due_s and self.lag.is_unaccounted(reported):
            await self._sample_checkpoints()
            self._checkpoints_due_s = now_s + _CHECKPOINT_INTERVAL_S
        self.lag.sample()
        for rate, samples, name, labels in (
            (self.sent, simulator, "fleetprice_simulator_sent_readings_total", {}),
            (self.landed, ingest, "fleetprice_ingest_landed_rows_total", {"hub": self._telemetry}),
            (self.predicted, scorer, "fleetprice_scorer_sent_predictions_total", {}),
        ):
            if samples:
                rate.add_sample(now_s, sum_samples(samples, name, labels))
        return are_hubs_known and self.lag.is_drained(reported)

    async def _sample_hubs(self) -> bool:
        with suppress(*_UNREACHABLE):
            async with self._session.get(f"{self._addresses.admin}/hubs", timeout=_TIMEOUT) as answer:
                for (hub, partition), end in find_ends(await answer.json()):
                    self.lag.note_end(hub, partition, end)
                return True
        return False

    async def _sample_checkpoints(self) -> None:
        """Note the checkpoints of all readers.

        Partitions that a process outside of this stack reads are on no metrics page that is sampled here.
        """
        with suppress(*_UNREACHABLE):
            async with asyncio.timeout(_TIMEOUT_S):
                for hub, readers in self.lag.readers.items():
                    for reader in readers:
                        found = await self._checkpoints.next_sequences(reader, hub)
                        for (_, partition), next_sequence in found.items():
                            self.lag.note_checkpoint(reader, hub, partition, next_sequence)

    async def run(self) -> None:
        """Sample for ever, every SAMPLE_INTERVAL_S seconds."""
        while True:
            await self.sample()
            await asyncio.sleep(SAMPLE_INTERVAL_S)

    async def wait_until_ready(self) -> None:
        """Wait until `is_ready` returns True."""
        while not await self.is_ready():  # noqa: ASYNC110 - other processes are asked
            await asyncio.sleep(_POLL_S)

    async def wait_until_drained(self) -> None:
        """Wait for a sample in which every reader has read all events that the hubs held."""
        while not await self.sample():  # noqa: ASYNC110 - other processes are asked
            await asyncio.sleep(_POLL_S)

    async def _fetch_metrics(self, service: str) -> list[Sample]:
        with suppress(*_UNREACHABLE):
            async with self._session.get(f"{service}/metrics", timeout=_TIMEOUT) as answer:
                return parse_samples(await answer.text())
        return []

    async def _is_ok(self, url: str) -> bool:
        with suppress(*_UNREACHABLE):
            async with self._session.get(url, timeout=_TIMEOUT) as answer:
                return answer.ok
        return False
