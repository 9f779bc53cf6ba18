import random

import numpy as np
import pyarrow as pa

from services.cli.verify.column_digests import ColumnDigests

COLUMNS = {
    "number": pa.array([1, 2, None, 2**40], pa.int64()),
    "real": pa.array([1.5, None, -0.25, float("nan")]),
    "flag": pa.array([True, False, None, True]),
    "text": pa.array(["a", "b", "", None]),
    "at": pa.array([0, 1, 2, None], pa.timestamp("us", "UTC")),
    "names": pa.array([["x"], [], None, ["x", "y"]]),
}
PARTITIONS, PLACES = np.array([0, 0, 1, 1]), np.array([10, 11, 10, 11])


def digests_of(columns, order=(0, 1, 2, 3)):
    made, rows = ColumnDigests(), list(order)
    batch = pa.RecordBatch.from_pydict(columns).take(pa.array(rows))
    for row in range(len(rows)):  # in pieces: the sum is the same
        at = slice(row, row + 1)
        made.add(PARTITIONS[rows][at], PLACES[rows][at], batch.slice(row, 1))
    return made


def differences(one, other):
    return {(partition, name) for partition in (0, 1) for name in one.find_differences(other, partition)}


def test_the_same_rows_in_any_order_are_equal():
    """Neither the order of rows nor batches, nor a wider type, nor a column of nulls is a difference."""
    one = digests_of(COLUMNS)
    assert differences(one, digests_of(COLUMNS, (3, 1, 0, 2))) == set()
    wider = {**COLUMNS, "number": COLUMNS["number"].cast(pa.float64()), "new": pa.nulls(4, pa.string())}
    wider["text"] = COLUMNS["text"].dictionary_encode()
    assert differences(one, digests_of(wider)) == set()


def test_each_changed_value_is_a_difference_of_its_column():
    """Also a value that became null, and two values that changed places."""
    one, draw = digests_of(COLUMNS), random.Random(3)
    for name, column in COLUMNS.items():
        values = column.to_pylist()
        for row in range(4):
            others = [value for value in [*values, None] if repr(value) != repr(values[row])]
            changed = [*values[:row], draw.choice(others), *values[row + 1 :]]
            found = differences(one, digests_of({**COLUMNS, name: pa.array(changed, column.type)}))
            assert found == {(int(PARTITIONS[row]), name)}
    swapped = {**COLUMNS, "text": pa.array(["b", "a", "", None])}
    assert differences(one, digests_of(swapped)) == {(0, "text")}
    without = {name: column for name, column in COLUMNS.items() if name != "flag"}
    assert differences(one, digests_of(without)) == {(0, "flag"), (1, "flag")}
