"""Bytes that a request takes from another blob of the account instead of from its body."""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.emulator.storage.model.entries import Entry
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.store.staging import Slice, assemble
from services.emulator.storage.store.threads import run_in_thread
from services.emulator.storage.wire.conditions import check_write
from services.emulator.storage.wire.request import StorageRequest, parse_source
from services.emulator.storage.wire.upload import Upload, file_md5, receive

_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class CopySource:
    """A blob as it is now, which may be another by the time it was read."""

    container: str
    path: str
    entry: Entry


def find_source(request: StorageRequest, store: FileStore) -> CopySource:
    """Raises Refused where it is not there, not of this account, or not what the conditions ask for."""
    raw = request.headers["x-ms-copy-source"]
    container, path, _ = parse_source(raw, request.account)
    _check_same_account(raw, request)
    entry = store.namespace.entry(container, path)
    if entry is None or entry.is_directory:
        raise Refused("PathNotFound", detail="x-ms-copy-source")
    check_write(request, entry, prefix="x-ms-source-")
    return CopySource(container, path, entry)


def receive_or_copy(request: StorageRequest, store: FileStore) -> AbstractAsyncContextManager[Upload]:
    """The request's body, or what it names in its place."""
    if "x-ms-copy-source" in request.headers:
        return copy_to_part(request, store, find_source(request, store))
    return receive(request, store)


@asynccontextmanager
async def copy_to_part(
    request: StorageRequest, store: FileStore, source: CopySource
) -> AsyncIterator[Upload]:
    """The source, or its `x-ms-source-range`, as a staged file."""
    start, end = _parse_range(request, source.entry.size_bytes)
    if end - start > request.max_body_bytes:
        raise Refused("RequestBodyTooLarge")
    path = store.disk.path_of(source.container, source.path)
    with store.disk.new_part() as part:
        staged = store.disk.staged_path(part)
        try:
            await run_in_thread(assemble, [Slice(path, start, end - start)], staged)
        except FileNotFoundError as exc:
            raise Refused("ServerBusy", detail="the source was moved while it was copied") from exc
        await store.sync_part(part)
        if store.namespace.entry(source.container, source.path) is not source.entry:
            raise Refused("ServerBusy", detail="the source was written while it was copied")
        md5 = await run_in_thread(file_md5, staged)
        if (claimed := request.headers.get("x-ms-source-content-md5")) is not None and claimed != md5:
            raise Refused("Md5Mismatch")
        yield Upload(part, end - start, md5)


def _parse_range(request: StorageRequest, size_bytes: int) -> tuple[int, int]:
    asked = request.headers.get("x-ms-source-range")
    if asked is None:
        return 0, size_bytes
    if (found := _RANGE.fullmatch(asked)) is None:
        raise Refused("InvalidHeaderValue", detail="x-ms-source-range")
    start, end = int(found[1]), min(int(found[2]) + 1, size_bytes) if found[2] else size_bytes
    if start >= end:
        raise Refused("InvalidRange")
    return start, end


def _check_same_account(raw: str, request: StorageRequest) -> None:
    """A URL of another host is another account's, which cannot be asked from here."""
    url = urlsplit(raw)
    own = (request.headers.get("Host", ""), "")
    if url.netloc not in own and not url.netloc.startswith(f"{request.account}."):
        raise Refused("CannotVerifyCopySource", detail=f"{url.netloc} is not this account")
