"""Digests of the values of columns, to compare the rows of large tables in little memory (pure).

The digest of a column is the sum, over its rows, of a hash of place and value, so that it does not depend on
the order of the rows. Null adds nothing, nor does a column that a file does not have.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.cli.verify.keys import Ints, to_ints

Hashes = npt.NDArray[np.uint64]

_DIGEST_BYTES = 8


class ColumnDigests:
    """The digests of one set of rows. `sums` has them by partition and column."""

    def __init__(self) -> None:
        self.sums: defaultdict[tuple[int, str], int] = defaultdict(int)

    def add(self, partitions: Ints, places: Ints, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch, whose partitions and places are given."""
        at = _mix(places.astype(np.uint64))
        for name in batch.schema.names:
            hashes = _hash(batch[name])
            mixed = np.where(hashes != 0, _mix(hashes + at), np.uint64(0))
            for partition in np.unique(partitions).tolist():
                key = partition, name
                self.sums[key] = (self.sums[key] + int(mixed[partitions == partition].sum())) % 2**64

    def find_differences(self, other: "ColumnDigests", partition: int) -> Iterator[str]:
        """Yield the columns whose values differ in a partition."""
        names = {name for of, name in (*self.sums, *other.sums) if of == partition}
        for name in sorted(names):
            if self.sums.get((partition, name), 0) != other.sums.get((partition, name), 0):
                yield name


def _hash(column: pa.Array) -> Hashes:
    """Return a hash of each value, 0 for null. Equal numbers have equal hashes, whatever their types."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_primitive(column.type):
        filled = column.fill_null(0)
        is_time = pa.types.is_timestamp(column.type)
        numbers = to_ints(filled) if is_time else filled.to_numpy(zero_copy_only=False)
        hashes = _mix(numbers.astype(np.float64).view(np.uint64) + np.uint64(1))
    else:
        texts = list(map(repr, column.to_pylist()))
        digests = {text: _digest(text) for text in set(texts)}
        hashes = np.array([digests[text] for text in texts], np.uint64)
    return np.where(column.is_valid().to_numpy(zero_copy_only=False), hashes | np.uint64(1), np.uint64(0))


def _digest(text: str) -> int:
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).digest()
    return int.from_bytes(digest, "little")


def _mix(values: Hashes) -> Hashes:
    """Return the values, each mixed as by the finalizer of SplitMix64."""
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: Hashes = mixed ^ (mixed >> np.uint64(31))
    return found
