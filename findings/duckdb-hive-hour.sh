#!/usr/bin/env bash
# DuckDB gives a partition column another type, depending on which files there are.
#
# Surprise: in a lake with folders hour=00 to hour=23, DuckDB reads `hour` as BIGINT as long as it sees the hours
# 10 to 23 only, and as VARCHAR as soon as one folder has a leading zero. A query that works on an afternoon's
# files changes its meaning at midnight: max(hour) of 01..09 is the text '09', and ORDER BY, arithmetic and
# inserts into a typed table behave differently or fail. hive_types = {'hour': INT} settles it.
# Seen with duckdb 1.4.1 and 2.0.0 (Python). Type detection: DuckDB's page "Hive Partitioning".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 1.4.1 2.0.0; do
  python3 -m venv --clear "$folder/venv"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "duckdb==$version"
  "$folder/venv/bin/python" - "$folder/$version" <<'PYTHON'
import os
import sys

import duckdb

print("duckdb", duckdb.__version__)


def write_hour(hour):
    os.makedirs(f"{sys.argv[1]}/hour={hour}")
    duckdb.sql(f"COPY (SELECT 1 AS n) TO '{sys.argv[1]}/hour={hour}/a.parquet'")


def read(options=""):
    files = f"read_parquet('{sys.argv[1]}/*/*.parquet', hive_partitioning = true{options})"
    return duckdb.sql(f"SELECT any_value(typeof(hour)), max(hour) FROM {files}").fetchall()[0]


write_hour(22)
write_hour(23)
afternoon = read()
print("  hours 22, 23:", afternoon)
write_hour("00")
midnight = read()
print("  hours 22, 23, 00:", midnight)
settled = read(", hive_types = {'hour': INT}")
print("  with hive_types:", settled)
sys.exit(not (afternoon == ("BIGINT", 23) and midnight == ("VARCHAR", "23") and settled == ("INTEGER", 23)))
PYTHON
done
