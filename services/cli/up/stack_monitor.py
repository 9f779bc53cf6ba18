"""Looks at the running stack a few times a second: lag, counters, readiness."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
from azure.core.exceptions import AzureError

from services.cli.up.checkpoints import Checkpoints
from services.cli.up.rates import Rate
from services.cli.up.scrape import Sample, ends_of, next_sequences_of, samples_of, total_of
from services.cli.up.sustained_lag import Place, SustainedLag

LOOK_INTERVAL_S = 0.2
RATE_WINDOW_S = 10.0
_CHECKPOINT_LOOK_S = 1.0
_POLL_S = 0.05
_TIMEOUT_S = 2.0
_TIMEOUT = aiohttp.ClientTimeout(total=_TIMEOUT_S)
_MISSED = (aiohttp.ClientError, AzureError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services answer, as http://host:port."""

    admin: str
    scorer: str
    ingest: str
    simulator: str


class StackMonitor:
    """What can be seen of the stack from outside. A service that restarts is not seen for a while."""

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
        self._at = addresses
        self._telemetry = telemetry
        self._looking = asyncio.Lock()
        self.lag = SustainedLag({telemetry: ("ingest", "scorer"), predictions: ("ingest",)})
        self.sent, self.landed, self.predicted = (Rate(RATE_WINDOW_S) for _ in range(3))

    async def is_ready(self) -> bool:
        """Whether ingest and scorer answer that they are, and have told where they stand."""
        answers = await asyncio.gather(
            self._answers(f"{self._at.ingest}/readyz"), self._answers(f"{self._at.scorer}/readyz")
        )
        if all(answers):
            await self.look()
        return all(answers) and self.lag.is_known()

    async def look(self) -> bool:
        """One look at everything; the hubs first, so that what arrives during the look is no lag.

        Whether every reader has taken in all that the hubs held at this look.
        """
        async with self._looking:  # two at once would see counters out of order
            return await self._look()

    async def _look(self) -> bool:
        is_hub_seen = await self._look_at_hubs()
        ingest, scorer, simulator = await asyncio.gather(
            self._metrics(self._at.ingest), self._metrics(self._at.scorer), self._metrics(self._at.simulator)
        )
        said: set[Place] = set()
        for reader, samples in (("ingest", ingest), ("scorer", scorer)):
            for (hub, partition), next_sequence in next_sequences_of(samples):
                self.lag.see_reader(reader, hub, partition, next_sequence)
                said.add((reader, hub, partition))
        now_s = time.monotonic()
        if now_s >= self._checkpoints_due_s and self.lag.is_unaccounted(said):
            await self._look_at_checkpoints()
            self._checkpoints_due_s = now_s + _CHECKPOINT_LOOK_S
        self.lag.sample()
        for rate, samples, name, labels in (
            (self.sent, simulator, "fleetprice_readings_sent_total", {}),
            (self.landed, ingest, "fleetprice_rows_landed_total", {"hub": self._telemetry}),
            (self.predicted, scorer, "fleetprice_predictions_sent_total", {}),
        ):
            if samples:
                rate.see(now_s, total_of(samples, name, labels))
        return is_hub_seen and self.lag.is_drained(said)

    async def _look_at_hubs(self) -> bool:
        with suppress(*_MISSED):
            async with self._session.get(f"{self._at.admin}/hubs", timeout=_TIMEOUT) as answer:
                for (hub, partition), end in ends_of(await answer.json()):
                    self.lag.see_end(hub, partition, end)
                return True
        return False

    async def _look_at_checkpoints(self) -> None:
        """Partitions that other processes own are on no page of ours."""
        with suppress(*_MISSED):
            async with asyncio.timeout(_TIMEOUT_S):
                for hub, readers in self.lag.readers.items():
                    for reader in readers:
                        found = await self._checkpoints.next_sequences(reader, hub)
                        for (_, partition), next_sequence in found.items():
                            self.lag.see_checkpoint(reader, hub, partition, next_sequence)

    async def keep_looking(self) -> None:
        """A look every LOOK_INTERVAL_S, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_INTERVAL_S)

    async def ready(self) -> None:
        """Return once `is_ready`."""
        while not await self.is_ready():  # noqa: ASYNC110 - other processes are asked
            await asyncio.sleep(_POLL_S)

    async def caught_up(self) -> None:
        """Return once every reader has taken in all that the hubs held at one and the same look."""
        while not await self.look():  # noqa: ASYNC110 - other processes are asked
            await asyncio.sleep(_POLL_S)

    async def _metrics(self, service: str) -> list[Sample]:
        with suppress(*_MISSED):
            async with self._session.get(f"{service}/metrics", timeout=_TIMEOUT) as answer:
                return samples_of(await answer.text())
        return []

    async def _answers(self, url: str) -> bool:
        with suppress(*_MISSED):
            async with self._session.get(url, timeout=_TIMEOUT) as answer:
                return answer.ok
        return False
