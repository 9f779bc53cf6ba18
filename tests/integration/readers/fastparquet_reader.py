"""Reads Parquet files as fastparquet does; see test_readers.py for the arguments and the result."""

import json
import sys

from fastparquet import ParquetFile


def summary(path):
    rows = ParquetFile(path).to_pandas()
    numbers = rows.select_dtypes("number")
    return {
        "rows": len(rows),
        "counts": {name: int(count) for name, count in rows.count().items()},
        "sums": {name: float(numbers[name].sum()) for name in numbers if numbers[name].count()},
    }


sys.stdout.write(json.dumps({path: summary(path) for path in sys.argv[2:]}))
