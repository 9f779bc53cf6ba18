"""Runs as columns from the start: what ingest needs, in less than half the time that records of JSON take."""

from collections.abc import Sequence

from msgspec import Struct

from shared.contract.bodies import MAX_RECORDS
from shared.contract.columns import Contract
from shared.contract.runs import NOTHING, WARM_ROWS, Run, RunDecoder, up_to
from shared.contract.shapes import OddInstant, SeenShape
from shared.contract.strict import MALFORMED, MAX_RECORD_BYTES, lines_of


class ColumnRunDecoder(RunDecoder):
    """As `RunDecoder`; every run that is not empty has a batch and no records."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(contract)
        self._seen = SeenShape(contract)

    def _ones(self, bodies: Sequence[bytes]) -> Run:
        decode = self._seen.shape.record
        records: list[Struct] = []
        add = records.append
        try:
            for body in bodies:
                if len(body) > MAX_RECORD_BYTES:
                    break
                add(decode(body))
        except MALFORMED:
            pass  # what came before it stands
        if records:
            return self._run(records, (1,) * len(records)) or self._ones(bodies)
        if bodies and self._strict.takes(bodies[0]) and self._seen.grow(bodies[:1]):
            return self._ones(bodies)
        return NOTHING

    def _of_lines(self, bodies: Sequence[bytes], max_rows: int) -> Run:
        records: list[Struct] = []
        counts: list[int] = []
        decode = self._seen.shape.lines
        for body in bodies:
            found = lines_of(body, decode)
            if not found or len(found) > MAX_RECORDS:
                break
            records += found
            counts.append(len(found))
            if len(records) >= min(max_rows, WARM_ROWS):
                break
        if records:
            return self._run(records, counts) or self._of_lines(bodies, max_rows)
        if bodies and self._strict.lines(bodies[0]) and self._seen.grow(bodies[0].split(b"\n")):
            return self._of_lines(bodies, max_rows)
        return NOTHING

    def _run(self, records: Sequence[Struct], counts: Sequence[int]) -> Run | None:
        """The events up to the first with an instant outside every clock; None where the shape changed."""
        try:
            batch = self._seen.shape.batch(records)
        except OddInstant:
            self._seen.read_instants_singly()
            return None
        return up_to(batch.num_rows, counts, batch)
