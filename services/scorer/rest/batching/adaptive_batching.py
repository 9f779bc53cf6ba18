"""Adaptive batching: requests that arrive together are priced in one run of the model.

No request waits for others to arrive: each yields once to whatever the event loop has ready, and the first to
continue runs the model for all that have joined by then. For a single request that is one empty turn of the
loop.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from services.scorer.rest.batching.admission import Admission, Pace
from shared.http.metrics import Distributions
from shared.http.problems import overloaded
from shared.pricing.pricer import ActivePriceModel, PricedOne, Pricer

ROWS_PER_RUN = Distributions(
    "fleetprice_scorer_http_batch_rows",
    "Vehicles priced over HTTP in one run of the model",
    (),
    (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096),
).with_labels()


class Run:
    """One run of one version of the model, for one or more requests."""

    def __init__(self, pricer: Pricer) -> None:
        self.pricer = pricer
        self.records: list[Any] = []
        self.requests = 0
        self.answered = 0
        self.opened_at_s = self.priced_at_s = time.perf_counter()
        self._priced: list[PricedOne] = []

    def price_once(self, pace: Pace) -> list[PricedOne]:
        """Return the prices of all records; the first call runs the model."""
        if not self._priced:
            started_s = time.perf_counter()
            if len(self.records) == 1:
                self._priced = [self.pricer.price_one(self.records[0])]
            else:
                self._priced = self.pricer.price(self.pricer.columns_of(self.records)).rows()
            self.priced_at_s = time.perf_counter()
            pace.record(self.priced_at_s - started_s, len(self.records))
            ROWS_PER_RUN.observe(len(self.records))
        return self._priced


class AdaptiveBatcher:
    """A batcher of the vehicles that HTTP requests ask for."""

    def __init__(self, served: ActivePriceModel, admission: Admission) -> None:
        """`admission` limits what may wait for a run; the vehicles of the last request may exceed it."""
        self._served = served
        self._admission = admission
        self._open: Run | None = None

    def refuse_if_full(self) -> None:
        """Raise Refusal (503) if too much waits; called before a body is decoded."""
        run = self._open
        if run is None:
            return
        waited_s = time.perf_counter() - run.opened_at_s
        if not self._admission.admits(waited_s, run.requests, len(run.records)):
            raise overloaded()

    async def price(self, records: Sequence[Any]) -> tuple[Pricer, list[PricedOne]]:
        """Price records that have the contract's fields, all by one version, and return its pricer too."""
        pricer = self._served.pricer
        run = self._open
        if run is None or run.pricer is not pricer:
            run = self._open = Run(pricer)
        start = len(run.records)
        run.records += records
        run.requests += 1
        await asyncio.sleep(0)
        if self._open is run:
            self._open = None
        priced = run.price_once(self._admission.pricing)
        self._measure_answers(run)
        return pricer, priced[start : start + len(records)]

    def _measure_answers(self, run: Run) -> None:
        """Record, at the last answer of a run, how long the answers before it took."""
        run.answered += 1
        if run.answered == run.requests > 1:
            self._admission.answering.record(time.perf_counter() - run.priced_at_s, run.requests - 1)
