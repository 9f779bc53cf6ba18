"""Looks at the running stack a few times a second: lag, counters, readiness."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from services.up.pages import Sample, ends_of, next_sequences_of, samples_of, total_of
from services.up.rates import Rate
from services.up.standing_lag import StandingLag

LOOK_INTERVAL_S = 0.2
RATE_WINDOW_S = 10.0
_POLL_S = 0.05
_TIMEOUT = aiohttp.ClientTimeout(total=2.0)
_MISSED = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services answer, as http://host:port."""

    admin: str
    scorer: str
    ingest: str
    simulator: str


class Watch:
    """What can be seen of the stack from outside. A service that restarts is not seen for a while."""

    def __init__(self, session: aiohttp.ClientSession, addresses: Addresses, hubs: tuple[str, str]) -> None:
        telemetry, predictions = hubs
        self._session = session
        self._at = addresses
        self._telemetry = telemetry
        self._looking = asyncio.Lock()
        self.lag = StandingLag({telemetry: ("ingest", "scorer"), predictions: ("ingest",)})
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

        False where the hubs or a reader did not answer for every partition: then old words still stand.
        """
        async with self._looking:  # two at once would see counters out of order
            return await self._look()

    async def _look(self) -> bool:
        is_hub_seen = await self._look_at_hubs()
        ingest, scorer, simulator = await asyncio.gather(
            self._metrics(self._at.ingest), self._metrics(self._at.scorer), self._metrics(self._at.simulator)
        )
        said = set()
        for reader, samples in (("ingest", ingest), ("scorer", scorer)):
            for (hub, partition), next_sequence in next_sequences_of(samples):
                self.lag.see_reader(reader, hub, partition, next_sequence)
                said.add((reader, hub, partition))
        self.lag.sample()
        now_s = time.monotonic()
        for rate, samples, name, labels in (
            (self.sent, simulator, "fleetprice_readings_sent_total", {}),
            (self.landed, ingest, "fleetprice_rows_landed_total", {"hub": self._telemetry}),
            (self.predicted, scorer, "fleetprice_predictions_sent_total", {}),
        ):
            if samples:
                rate.see(now_s, total_of(samples, name, labels))
        return is_hub_seen and said >= self.lag.expected()

    async def _look_at_hubs(self) -> bool:
        with suppress(*_MISSED):
            async with self._session.get(f"{self._at.admin}/hubs", timeout=_TIMEOUT) as answer:
                for (hub, partition), end in ends_of(await answer.json()):
                    self.lag.see_end(hub, partition, end)
                return True
        return False

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
        """Return once every reader has taken in all that the hubs held at one and the same look.

        A service that is being started again has the last word of its former life, which proves nothing.
        """
        while not await self.look() or any(self.lag.now().values()):  # noqa: ASYNC110 - others are asked
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
