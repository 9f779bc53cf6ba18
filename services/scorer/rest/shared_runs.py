"""Requests that are here at the same time are priced in one run of the model.

Nobody waits for others to come: a request gives way once to whatever the loop has ready, and the first to be
woken runs the model for all that have joined by then. Alone, that is one empty turn of the loop.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from services.scorer.pricing import PricedOne, Pricer
from services.scorer.rest.problems import overloaded
from services.scorer.rest.tallies import Distributions
from services.scorer.serving import ServedModel

ROWS_PER_RUN = Distributions(
    "fleetprice_http_run_rows",
    "Vehicles priced over HTTP in one run of the model",
    (),
    (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096),
).of()


class Run:
    """One run of one version of the model, for several requests."""

    def __init__(self, pricer: Pricer) -> None:
        self.pricer = pricer
        self.records: list[Any] = []
        self._priced: list[PricedOne] = []

    def priced(self) -> list[PricedOne]:
        """All priced, by whoever asks first."""
        if not self._priced:
            if len(self.records) == 1:
                self._priced = [self.pricer.price_one(self.records[0])]
            else:
                self._priced = self.pricer.price(self.pricer.columns_of(self.records)).rows()
            ROWS_PER_RUN.observe(len(self.records))
        return self._priced


class SharedRuns:
    """Prices what HTTP asks for."""

    def __init__(self, served: ServedModel, max_waiting: int) -> None:
        """`max_waiting` bounds the vehicles that wait for a run; what one request adds may exceed it."""
        self._served = served
        self._max_waiting = max_waiting
        self._open: Run | None = None

    def refuse_if_full(self) -> None:
        """Raises Refusal (503); to be asked before a body is decoded."""
        if self._open is not None and len(self._open.records) >= self._max_waiting:
            raise overloaded()

    async def price(self, records: Sequence[Any]) -> tuple[Pricer, list[PricedOne]]:
        """Prices of records that carry the contract's fields, all by one version."""
        pricer = self._served.pricer
        run = self._open
        if run is None or run.pricer is not pricer:
            run = self._open = Run(pricer)
        start = len(run.records)
        run.records += records
        await asyncio.sleep(0)
        if self._open is run:
            self._open = None
        priced = run.priced()
        return pricer, priced[start : start + len(records)]
