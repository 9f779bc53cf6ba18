"""A thin adapter over the unmodified azure-storage-file-datalake client.

The SDK's errors are mapped in this module only. A missing file gives None or False, and a file that already
exists gives False. Refused credentials or a missing file system raise SettingsError; every other error of the
SDK raises SinkUnavailable.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from io import BytesIO
from typing import Any, Self
from uuid import uuid4

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.filedatalake.aio import DataLakeFileClient, DataLakeServiceClient, FileSystemClient

from shared.service.credentials import process_credential
from shared.service.errors import SettingsError, SinkUnavailable
from shared.service.settings import ConnectionSettings, require_address

APPEND_BYTES = 8 * 2**20
_CONNECTION_TIMEOUT_S = 5
_READ_TIMEOUT_S = 30
_NO_FILE_SYSTEM = "FilesystemNotFound"


@dataclass(frozen=True, slots=True)
class LakeConnection:
    """The address of a file system; `account` is the storage account's connection string or its blob URL."""

    account: str = field(repr=False)
    file_system: str = "lake"

    @classmethod
    def from_settings(cls, settings: ConnectionSettings) -> Self:
        """Return the connection that the settings name.

        Raises SettingsError if no storage account is set, or if it uses a development key beyond loopback.
        """
        return cls(require_address(settings, "storage"), settings.file_system)


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One entry of a listing; `path` is relative to the file system's root."""

    path: str
    size_bytes: int
    modified_at: datetime
    is_directory: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file's bytes at one time, with the etag that later shows whether the file has changed."""

    data: bytes
    etag: str


@contextmanager
def _map_errors(operation: str) -> Iterator[None]:
    try:
        yield
    except ClientAuthenticationError as error:
        refusal = error.message.partition("\n")[0]
        raise SettingsError(
            f"FLEETPRICE_STORAGE: the lake refused our credentials ({operation}): {refusal}"
        ) from error
    except AzureError as error:
        if getattr(error, "error_code", None) == _NO_FILE_SYSTEM:
            raise SettingsError(
                f"FLEETPRICE_FILE_SYSTEM: there is no such file system, create it ({operation})"
            ) from error
        raise SinkUnavailable(f"{operation}: {error.message}") from error


def parent_directory(path: str) -> str:
    """Return the directory that holds `path`."""
    return path.rpartition("/")[0]


class Lake:
    """A client of one file system; paths are relative to its root."""

    def __init__(self, files: FileSystemClient) -> None:
        self._files = files

    async def write(self, path: str, data: bytes) -> None:
        """Create or overwrite a file.

        The file is durable when this returns; a crash before that may leave the file empty.
        """
        client = self._files.get_file_client(path)
        with _map_errors(f"write {path}"):
            await client.create_file()
            await client.flush_data(await _append(client, data, 0))

    async def write_pieces(self, path: str, pieces: AsyncIterable[bytes]) -> int:
        """Create or overwrite a file from pieces, and return its size in bytes.

        The file is durable when this returns; a crash before that may leave the file empty.
        """
        client = self._files.get_file_client(path)
        size_bytes = 0
        with _map_errors(f"write {path}"):
            await client.create_file()
            async for piece in pieces:
                size_bytes = await _append(client, piece, size_bytes)
            await client.flush_data(size_bytes)
        return size_bytes

    async def create_if_absent(self, path: str, data: bytes) -> bool:
        """Create a file. Return False, and leave the existing file unchanged, if there is one.

        The bytes are written to a staging file that is then renamed, so a reader never sees a partial file.
        """
        staging = f"_staging/{uuid4().hex}"
        await self.write(staging, data)
        await self.make_directory(parent_directory(path))
        if await self.rename_if_absent(staging, path):
            return True
        await self.delete(staging)
        return False

    async def rename_if_absent(self, source: str, target: str) -> bool:
        """Atomically rename `source` to `target`. Return False if `target` exists.

        Raises SinkUnavailable if the outcome is unknown (a lost response, a 5xx, a timeout; the SDK's own
        retry then finds the source gone): read the target to learn the outcome.
        """
        client = self._files.get_file_client(source)
        name = f"{self._files.file_system_name}/{target}"
        with _map_errors(f"rename {source} to {target}"):
            try:
                await client.rename_file(name, match_condition=MatchConditions.IfMissing)
            except (ResourceExistsError, ResourceModifiedError):
                return False
        return True

    async def replace_if_unchanged(self, path: str, data: bytes, etag: str) -> bool:
        """Replace a file atomically. Return False if the file's etag is no longer `etag`.

        Raises SinkUnavailable if the outcome is unknown: read the file to learn it (see `rename_if_absent`).
        """
        staging = f"_staging/{uuid4().hex}"
        await self.write(staging, data)
        client = self._files.get_file_client(staging)
        with _map_errors(f"replace {path}"):
            try:
                await client.rename_file(
                    f"{self._files.file_system_name}/{path}",
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
            except ResourceModifiedError:
                await self.delete(staging)
                return False
        return True

    async def make_directory(self, path: str) -> None:
        """Create a directory and its parents, if they do not exist."""
        with _map_errors(f"make directory {path}"):
            await self._files.get_directory_client(path).create_directory()

    async def read(self, path: str) -> bytes | None:
        """Return all bytes of a file, or None if it does not exist."""
        with _map_errors(f"read {path}"):
            try:
                download = await self._files.get_file_client(path).download_file()
                return await download.readall()
            except ResourceNotFoundError:
                return None

    async def read_if_changed(self, path: str, etag: str | None) -> Snapshot | None:
        """Return a file's bytes and etag, or None if the file does not exist or its etag is still `etag`.

        If `etag` is None, an existing file is always read.
        """
        unless: Any = {} if etag is None else {"etag": etag, "match_condition": MatchConditions.IfModified}
        with _map_errors(f"read {path}"):
            try:
                download = await self._files.get_file_client(path).download_file(**unless)
                return Snapshot(await download.readall(), download.properties.etag)
            except ResourceNotFoundError:
                return None
            except ResourceModifiedError as error:
                if error.status_code == HTTPStatus.NOT_MODIFIED:
                    return None
                raise

    async def read_tail(self, path: str, size_bytes: int) -> bytes | None:
        """Return the last `size_bytes` bytes of a file, or all bytes if the file is shorter.

        Return None if the file does not exist.
        """
        client = self._files.get_file_client(path)
        with _map_errors(f"read the tail of {path}"):
            try:
                properties = await client.get_file_properties()
                start = max(0, properties.size - size_bytes)
                if start == properties.size:
                    return b""
                download = await client.download_file(offset=start, length=properties.size - start)
                return await download.readall()
            except ResourceNotFoundError:
                return None

    async def list(
        self, prefix: str, *, recursive: bool = True, directories: bool = False
    ) -> AsyncIterator[LakeFile]:
        """Yield the files below the directory `prefix`, and its directories if `directories` is true.

        Yields nothing if the directory does not exist.
        """
        with _map_errors(f"list {prefix}"):
            try:
                async for item in self._files.get_paths(prefix, recursive=recursive):
                    if directories or not item.is_directory:
                        yield LakeFile(
                            item.name,
                            item.content_length or 0,
                            item.last_modified.replace(tzinfo=UTC),  # the SDK's is UTC and does not say so
                            item.is_directory,
                        )
            except ResourceNotFoundError:
                return

    async def stat(self, path: str) -> LakeFile | None:
        """Return a file's size and modification time, or None if it does not exist."""
        with _map_errors(f"look at {path}"):
            try:
                found = await self._files.get_file_client(path).get_file_properties()
            except ResourceNotFoundError:
                return None
        return LakeFile(path, found.size, found.last_modified)

    def blob_url(self, path: str) -> str:
        """Return the file's URL for blob clients, without the query string that may carry a signature."""
        url: str = self._files.get_file_client(path).url
        return url.partition("?")[0].replace(".dfs.", ".blob.", 1)

    async def exists(self, path: str) -> bool:
        with _map_errors(f"look for {path}"):
            return bool(await self._files.get_file_client(path).exists())

    async def delete(self, path: str) -> None:
        """Delete a file, if it exists."""
        with _map_errors(f"delete {path}"):
            try:
                await self._files.get_file_client(path).delete_file()
            except ResourceNotFoundError:
                return


async def _append(file: DataLakeFileClient, data: bytes, position: int) -> int:
    """Append to a file that is `position` bytes long, and return its new length.

    The data is not durable until it is flushed.
    """
    for start in range(0, len(data), APPEND_BYTES):
        piece = data[start : start + APPEND_BYTES]  # no copy if it is all of `data`
        await file.append_data(BytesIO(piece), offset=position + start, length=len(piece))
    return position + len(data)


@asynccontextmanager
async def open_lake(connection: LakeConnection) -> AsyncIterator[Lake]:
    """Open the file system that `connection` names.

    An account without a hierarchical namespace is refused only at the first use.
    """
    options: Any = {
        # The SDK's own back-off takes 15 s after the first failure; these three retries take 7 s at most.
        "initial_backoff": 0.5,
        "increment_base": 1,
        "random_jitter_range": 1,
        "retry_total": 3,
        "connection_timeout": _CONNECTION_TIMEOUT_S,
        "read_timeout": _READ_TIMEOUT_S,
    }
    if "AccountName=" in connection.account:
        service = DataLakeServiceClient.from_connection_string(connection.account, **options)
    else:
        service = DataLakeServiceClient(connection.account, credential=process_credential(), **options)
    async with service:
        yield Lake(service.get_file_system_client(connection.file_system))
