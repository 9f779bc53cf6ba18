import asyncio
import io
import os
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from azure.storage.blob import BlobServiceClient

from services.emulator.storage.auth.well_known import WELL_KNOWN_KEY

TOURS = Path(__file__).parent


@pytest.mark.parametrize("tour", ["arrow", "adlfs", "delta"])
async def test_readers_read_and_write_the_lake(storage, tour):
    """pyarrow, adlfs, polars, deltalake, obstore and DuckDB work as on the real service."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(TOURS / f"{tour}_tour.py"),
        str(storage.port),
        WELL_KNOWN_KEY,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


async def test_duckdb_reads_the_files_themselves(lake, tree):
    """The lake on the laptop can be queried without a server."""
    table = io.BytesIO()
    pq.write_table(pa.table({"price": [1, 2, 3]}), table)
    await lake.get_file_client("raw/date=2024-01-01/a.parquet").upload_data(table.getvalue(), overwrite=True)
    with duckdb.connect() as connection:
        query = f"select sum(price), any_value(date)::text from '{tree}/lake/raw/*/*.parquet'"
        assert connection.execute(query).fetchone() == (6, "2024-01-01")


async def test_duckdbs_azure_extension(storage, lake):
    """If the extension is installed, DuckDB reads through the server."""
    table = io.BytesIO()
    pq.write_table(pa.table({"price": [1, 2, 3]}), table)
    await lake.get_file_client("raw/a.parquet").upload_data(table.getvalue(), overwrite=True)

    def query():
        with duckdb.connect() as connection:
            try:
                connection.execute("load azure")
            except duckdb.Error:
                return None
            connection.execute(f"create secret (type azure, connection_string '{storage.connection_string}')")
            return connection.execute("select sum(price) from 'az://lake/raw/*.parquet'").fetchone()

    if (found := await asyncio.to_thread(query)) is None:
        pytest.skip("DuckDB's azure extension is not installed (INSTALL azure needs the internet)")
    assert found == (6,)


async def test_the_synchronous_client(storage):
    """The synchronous client, which signs URLs in another way, writes and reads."""
    names = ["plain", "a b/c+d", "100%", "ümläut/日本", "x=1/y;z", "tilde~(and)!star*'"]

    def round_trip():
        with BlobServiceClient.from_connection_string(storage.connection_string) as service:
            container = service.get_container_client("checkpoints")
            for name in names:
                container.upload_blob(name, name.encode(), metadata={"a_b": "1", "a1": "2", "ab": "3"})
            read = [container.download_blob(name, validate_content=True).readall() for name in names]
            found = [blob.name for blob in container.list_blobs() if blob.size]
            return read, sorted(found)

    read, found = await asyncio.to_thread(round_trip)
    assert read == [name.encode() for name in names]
    assert found == sorted(names)
