"""The readers that people have read every file of the lake at their defaults.

A reader is a program of its own environment: its arguments are the program for Spark in docs/lake.md and the
paths of files, and it writes the summary of each file. `make readers` makes the environments.
"""

import asyncio
import json
import os
import shutil
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests.support.compacting import Compacted
from tests.support.documented import blocks
from tests.support.lake_files import summarize

HERE, TOOLS = Path(__file__).parent, Path(__file__).parents[3] / "build" / "tools"
*_, SPARK_READ = blocks("lake.md", "Reading it", "python")
PROGRAMS = {
    "spark-3": (TOOLS / "spark-3/bin/python", HERE / "spark_reader.py"),
    "spark-4": (TOOLS / "spark-4/bin/python", HERE / "spark_reader.py"),
    "fastparquet": (TOOLS / "fastparquet/bin/python", HERE / "fastparquet_reader.py"),
    "hyparquet": (Path(shutil.which("node") or "node"), HERE / "hyparquet_reader.mjs"),
}
MADE = {name: TOOLS / name / ".installed" for name in PROGRAMS} | {
    "hyparquet": HERE / "node_modules" / ".installed"
}


def assert_alike(found, wanted):
    assert {path: one["rows"] for path, one in found.items()} == {
        path: one["rows"] for path, one in wanted.items()
    }
    for path, one in wanted.items():
        assert found[path]["counts"] == one["counts"], path
        assert found[path]["sums"] == pytest.approx(one["sums"]), path


async def read_with(name, cwd, paths):
    """Run a reader; return the summaries that it writes."""
    interpreter, program = PROGRAMS[name]
    environment = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": str(interpreter)}
    reader = await asyncio.create_subprocess_exec(
        str(interpreter),
        str(program),
        SPARK_READ,
        *paths,
        cwd=cwd,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    written, complaints = await reader.communicate()
    assert reader.returncode == 0, complaints.decode()[-4_000:]
    return json.loads(written.splitlines()[-1])


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_reader_of_its_own_environment(files, tmp_path, name):
    """Spark 3.5 and 4, fastparquet and hyparquet find every value; Spark, both versions by the docs' read."""
    if not MADE[name].exists():
        pytest.skip(f"{name} is not installed: run `make readers`")
    if name.startswith("spark") and shutil.which("java") is None:
        pytest.skip("java is not installed: apt-get install default-jre-headless, then `make readers`")
    found = await read_with(name, Compacted(tmp_path).root.parent, list(files))
    folder = found.pop("folder", None)
    assert_alike(found, files)
    if folder is not None:
        assert (folder["rows"], folder["counts"]["tyre_wear_pct"], folder["sums"]["hour"]) == (20, 10, 250)


async def test_duckdb(files):
    """DuckDB finds every value."""
    with duckdb.connect() as connection:
        read = {path: connection.from_parquet(path, hive_partitioning=False) for path in files}
        assert_alike({path: summarize(rows.to_arrow_table()) for path, rows in read.items()}, files)


async def test_polars(files):
    """polars finds every value."""
    read = {path: pl.read_parquet(path, hive_partitioning=False) for path in files}
    assert_alike({path: summarize(rows.to_arrow()) for path, rows in read.items()}, files)
