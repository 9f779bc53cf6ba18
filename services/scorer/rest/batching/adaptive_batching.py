"""Requests that are here at the same time are priced in one run of the model.

Nobody waits for others to come: a request gives way once to whatever the loop has ready, and the first to be
woken runs the model for all that have joined by then. Alone, that is one empty turn of the loop.
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
    "fleetprice_http_run_rows",
    "Vehicles priced over HTTP in one run of the model",
    (),
    (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096),
).labelled()


class Run:
    """One run of one version of the model, for several requests."""

    def __init__(self, pricer: Pricer) -> None:
        self.pricer = pricer
        self.records: list[Any] = []
        self.requests = 0
        self.answered = 0
        self.opened_at_s = self.priced_at_s = time.perf_counter()
        self._priced: list[PricedOne] = []

    def priced(self, pace: Pace) -> list[PricedOne]:
        """All priced, by whoever asks first."""
        if not self._priced:
            started_s = time.perf_counter()
            if len(self.records) == 1:
                self._priced = [self.pricer.price_one(self.records[0])]
            else:
                self._priced = self.pricer.price(self.pricer.columns_of(self.records)).rows()
            self.priced_at_s = time.perf_counter()
            pace.took(self.priced_at_s - started_s, len(self.records))
            ROWS_PER_RUN.observe(len(self.records))
        return self._priced


class AdaptiveBatcher:
    """Prices what HTTP asks for."""

    def __init__(self, served: ActivePriceModel, admission: Admission) -> None:
        """`admission` says how much may wait for a run; what one request adds may exceed it."""
        self._served = served
        self._admission = admission
        self._open: Run | None = None

    def refuse_if_full(self) -> None:
        """Raises Refusal (503); to be asked before a body is decoded."""
        run = self._open
        if run is None:
            return
        waited_s = time.perf_counter() - run.opened_at_s
        if not self._admission.admits(waited_s, run.requests, len(run.records)):
            raise overloaded()

    async def price(self, records: Sequence[Any]) -> tuple[Pricer, list[PricedOne]]:
        """Prices of records that carry the contract's fields, all by one version."""
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
        priced = run.priced(self._admission.pricing)
        self._learn(run)
        return pricer, priced[start : start + len(records)]

    def _learn(self, run: Run) -> None:
        """The last to be answered knows how long those before it took."""
        run.answered += 1
        if run.answered == run.requests > 1:
            self._admission.answering.took(time.perf_counter() - run.priced_at_s, run.requests - 1)
