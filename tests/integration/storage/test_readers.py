import asyncio
import os
import sys
from pathlib import Path

from azure.storage.blob import BlobServiceClient

from services.emulator.storage.well_known import WELL_KNOWN_KEY

TOUR = Path(__file__).with_name("arrow_tour.py")


async def test_arrow_and_polars_read_and_write_the_lake(storage):
    """pyarrow's Azure file system and polars' cloud reader work on it as on the real service."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(TOUR),
        str(storage.port),
        WELL_KNOWN_KEY,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


async def test_the_synchronous_client(storage):
    """The other transport writes and signs URLs its own way."""
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
