"""Copy sources: another blob of the account, which a request names instead of sending a body."""

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
from services.emulator.storage.wire.request import StorageRequest, parse_byte_range, parse_source
from services.emulator.storage.wire.upload import Upload, file_md5, receive


@dataclass(frozen=True, slots=True)
class CopySource:
    """The source of a copy. The source may change before its content is read."""

    container: str
    path: str
    entry: Entry


def find_source(request: StorageRequest, store: FileStore) -> CopySource:
    """Return the copy source that the request names.

    Raises Refused if the source does not exist, is in another account, or does not meet a condition.
    """
    raw = request.headers["x-ms-copy-source"]
    container, path, _ = parse_source(raw, request.account)
    _check_same_account(raw, request)
    entry = store.namespace.entry(container, path)
    if entry is None or entry.is_directory:
        raise Refused("PathNotFound", detail="x-ms-copy-source")
    check_write(request, entry, prefix="x-ms-source-")
    return CopySource(container, path, entry)


def receive_or_copy(request: StorageRequest, store: FileStore) -> AbstractAsyncContextManager[Upload]:
    """Stage the request's body, or the content of the copy source if the request names one."""
    if "x-ms-copy-source" in request.headers:
        return copy_to_part(request, store, find_source(request, store))
    return receive(request, store)


@asynccontextmanager
async def copy_to_part(
    request: StorageRequest, store: FileStore, source: CopySource
) -> AsyncIterator[Upload]:
    """Copy the source, or only its `x-ms-source-range`, into a staged file.

    Raises Refused if the range or the MD5 does not fit, or if the source changed during the copy.
    """
    start, end = 0, source.entry.size_bytes
    if (header := request.headers.get("x-ms-source-range")) is not None:
        start, end = parse_byte_range(header, end, "x-ms-source-range")
    if end - start > request.max_body_bytes:
        raise Refused("RequestBodyTooLarge")
    path = store.disk.locate(source.container, source.path)
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


def _check_same_account(raw: str, request: StorageRequest) -> None:
    """Check that a URL is of this account. Raises CannotVerifyCopySource if the URL is of another account."""
    url = urlsplit(raw)
    own = (request.headers.get("Host", ""), "")
    if url.netloc not in own and not url.netloc.startswith(f"{request.account}."):
        raise Refused("CannotVerifyCopySource", detail=f"{url.netloc} is not this account")
