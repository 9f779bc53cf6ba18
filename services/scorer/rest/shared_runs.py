"""Requests that are here at the same time are priced in one run of the model.

Nobody waits for others to come: a request gives way once to whatever the loop has ready, and the first to be
woken runs the model for all that have joined by then. Alone, that is one empty turn of the loop.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from prometheus_client import Histogram

from services.scorer.pricing import Columns, Priced, Pricer
from services.scorer.rest.problems import overloaded
from services.scorer.serving import ServedModel

ROWS_PER_RUN = Histogram(
    "fleetprice_http_run_rows",
    "Vehicles priced over HTTP in one run of the model",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096),
)


class Run:
    """One run of one version of the model, for several requests."""

    def __init__(self, pricer: Pricer) -> None:
        self.pricer = pricer
        self.rows = 0
        self._parts: list[Columns] = []
        self._priced: Priced | None = None

    def add(self, columns: Columns) -> slice:
        """Let these rows be priced too; where they will be found."""
        rows = len(columns[self.pricer.fields[0]])
        self._parts.append(columns)
        self.rows += rows
        return slice(self.rows - rows, self.rows)

    def priced(self) -> Priced:
        """All rows priced, by whoever asks first."""
        if self._priced is None:
            self._priced = self.pricer.price(_joined(self._parts))
            ROWS_PER_RUN.observe(self.rows)
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
        if self._open is not None and self._open.rows >= self._max_waiting:
            raise overloaded()

    async def price(self, columns_of: Callable[[Pricer], Columns]) -> tuple[Pricer, Priced]:
        """Prices of the rows that `columns_of` makes for the version that runs."""
        pricer = self._served.pricer
        run = self._open
        if run is None or run.pricer is not pricer:
            run = self._open = Run(pricer)
        rows = run.add(columns_of(pricer))
        await asyncio.sleep(0)
        if self._open is run:
            self._open = None
        priced = run.priced()
        return pricer, (priced if rows.stop - rows.start == run.rows else _part(priced, rows))


def _joined(parts: Sequence[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    return {field: list(chain.from_iterable(part[field] for part in parts)) for field in parts[0]}


def _part(priced: Priced, rows: slice) -> Priced:
    return Priced(
        priced.price[rows], priced.lower[rows], priced.upper[rows], priced.flags[rows], priced.fields
    )


def columns_of_records(records: Sequence[Any]) -> Callable[[Pricer], Columns]:
    """Columns of records that carry the contract's fields, for whichever version runs."""
    return lambda pricer: pricer.columns_of(records)
