"""Reads Parquet files as Spark does at its defaults; see test_readers.py for the arguments and the result."""

import json
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

LOOPBACK = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
NUMBERS = {"int", "bigint", "double"}


def summary(rows):
    types = dict(rows.dtypes)
    numbers = [name for name in types if types[name] in NUMBERS]
    counts, sums = [f.count(name) for name in types], [f.sum(name) for name in numbers]
    rows_count, *found = rows.agg(f.count(f.lit(1)), *counts, *sums).first()
    found_counts, found_sums = found[: len(counts)], found[len(counts) :]
    return {
        "rows": rows_count,
        "counts": dict(zip(types, found_counts, strict=True)),
        "sums": {name: one for name, one in zip(numbers, found_sums, strict=True) if one is not None},
    }


def main(program, *files):
    builder = SparkSession.builder.master("local[1]").config(map=LOOPBACK)
    with builder.config("spark.ui.enabled", value=False).getOrCreate() as spark:
        names = {"spark": spark}
        exec(program, names)
        every = {"folder": names["rows"], **{file: spark.read.parquet(file) for file in files}}
        sys.stdout.write(json.dumps({name: summary(rows) for name, rows in every.items()}) + "\n")


main(*sys.argv[1:])
