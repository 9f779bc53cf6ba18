#!/usr/bin/env bash
# Two compactions of the same version of a Delta table, one after the other, both commit: every row is doubled.
#
# Surprise: Delta's log has optimistic concurrency control, and two commits that remove the same file must not
# both succeed: the protocol's conflict rules call this "concurrent delete/delete". In delta-rs a file removed by
# OPTIMIZE carries dataChange=false, and such removals are left out of the check. So the second OPTIMIZE, which
# planned on the old version, adds its own merged copy of files that are already gone. The rows are in the table
# twice, and nothing is reported. A schedule that starts a second OPTIMIZE while the first one runs is enough.
# Seen with deltalake 1.6.6 (Python). Rules: PROTOCOL.md and the isolation levels of Delta Lake.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check deltalake==1.6.6 arro3-core==0.9.1
"$folder/venv/bin/python" - "$folder/table" <<'PYTHON'
import sys

import deltalake
from arro3.core import Array, DataType, Table
from deltalake import DeltaTable, write_deltalake

print("deltalake", deltalake.__version__)
for number in range(3):
    write_deltalake(sys.argv[1], Table({"n": Array([number], DataType.int64())}), mode="append")
first, second = DeltaTable(sys.argv[1]), DeltaTable(sys.argv[1])
for optimizing in (first, second):
    metrics = optimizing.optimize.compact()
    print("files added", metrics["numFilesAdded"], "removed", metrics["numFilesRemoved"])
rows = sum(DeltaTable(sys.argv[1]).get_add_actions()["num_records"].to_pylist())
print("rows written 3, rows in the table's files", rows)
sys.exit(rows != 6)
PYTHON
