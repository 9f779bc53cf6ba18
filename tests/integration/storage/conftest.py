import pytest
from azure.storage.blob.aio import BlobServiceClient, LinearRetry
from azure.storage.filedatalake.aio import DataLakeServiceClient

from services.emulator.storage.server import StorageServer


@pytest.fixture
async def storage(tmp_path):
    async with StorageServer(tmp_path) as server:
        yield server


@pytest.fixture
async def lake(storage):
    """The file system, through the unmodified Data Lake client, retrying quickly."""
    retry = LinearRetry(backoff=0, random_jitter_range=0)
    service = DataLakeServiceClient.from_connection_string(storage.connection_string, retry_policy=retry)
    async with service:
        yield service.get_file_system_client("lake")


@pytest.fixture
async def blobs(storage):
    """The checkpoints' container, through the unmodified Blob client."""
    retry = LinearRetry(backoff=0, random_jitter_range=0)
    service = BlobServiceClient.from_connection_string(storage.connection_string, retry_policy=retry)
    async with service:
        yield service.get_container_client("checkpoints")


@pytest.fixture
def tree(tmp_path):
    """Where the account's files lie on disk."""
    return tmp_path / "storage" / "devstoreaccount1"


@pytest.fixture
def write(lake):
    """Write a file as ingest does: create, append, flush."""

    async def write(path, body, **properties):
        file = lake.get_file_client(path)
        await file.create_file(**properties)
        if body:
            await file.append_data(body, 0)
            await file.flush_data(len(body))
        return file

    return write
