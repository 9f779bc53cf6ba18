"""Reception of a request's body into a staged file. Verified, and bounded in size and memory."""

import base64
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from services.emulator.storage.model.errors import Refused
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.store.threads import run_in_thread
from services.emulator.storage.wire.crc64 import file_crc64
from services.emulator.storage.wire.request import StorageRequest

_INLINE_BYTES = 256 * 1024  # a write up to this size costs the event loop less than a thread does
_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A received body: `part` is the name of the staged file, and the digests are in base64.

    `crc64` is empty unless the client sent one.
    """

    part: str
    size_bytes: int
    md5: str
    crc64: str = ""

    def checksum_headers(self) -> dict[str, str]:
        return {"x-ms-content-crc64": self.crc64} if self.crc64 else {"Content-MD5": self.md5}


@asynccontextmanager
async def receive(request: StorageRequest, store: FileStore) -> AsyncIterator[Upload]:
    """Receive the body into a staged file. At the end the file is deleted, unless a commit moved it.

    Raises Refused if the body is too long, incomplete, or does not match its MD5 or CRC-64.
    """
    length = _read_length(request, request.max_body_bytes)
    digest = hashlib.md5(usedforsecurity=False)
    with store.disk.new_part() as part:
        if length <= _INLINE_BYTES:
            data = await _read_whole(request, length)
            digest.update(data)
            store.write_part(part, data)
        else:
            await _receive_in_pieces(request, store, part, length, digest)
        md5 = base64.b64encode(digest.digest()).decode()
        if (claimed := request.headers.get("Content-MD5")) is not None and claimed != md5:
            raise Refused("Md5Mismatch")
        yield Upload(part, length, md5, await _verify_crc64(request, store, part))


def file_md5(path: Path) -> str:
    """Return a file's MD5 in base64. Blocking."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False))
    return base64.b64encode(digest.digest()).decode()


async def _verify_crc64(request: StorageRequest, store: FileStore, part: str) -> str:
    if (claimed := request.headers.get("x-ms-content-crc64")) is None:
        return ""
    if (crc64 := await run_in_thread(file_crc64, store.disk.staged_path(part))) != claimed:
        raise Refused("Crc64Mismatch")
    return crc64


async def read_small_body(request: StorageRequest, max_bytes: int) -> bytes:
    """Read a small document, such as a block list, into memory.

    Raises Refused if the document is longer than `max_bytes` or incomplete.
    """
    return await _read_whole(request, _read_length(request, max_bytes))


async def _receive_in_pieces(
    request: StorageRequest, store: FileStore, part: str, length: int, digest: "hashlib._Hash"
) -> None:
    fd = os.open(store.disk.staged_path(part), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        left = length
        while left:
            piece = bytearray()
            while len(piece) < min(_PIECE_BYTES, left) and (data := await request.body.readany()):
                piece += data
            _check_complete(len(piece), min(_PIECE_BYTES, left))
            await run_in_thread(_write_piece, fd, piece, digest)
            left -= len(piece)
    finally:
        os.close(fd)
    await store.sync_part(part)


def _write_piece(fd: int, piece: bytearray, digest: "hashlib._Hash") -> None:
    digest.update(piece)
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]


def _read_length(request: StorageRequest, max_bytes: int) -> int:
    length = request.content_length()
    if length > max_bytes:
        raise Refused("RequestBodyTooLarge", detail=f"{length} bytes; at most {max_bytes} are taken")
    return length


async def _read_whole(request: StorageRequest, length: int) -> bytes:
    data = await request.body.read(-1)
    _check_complete(len(data), length)
    return data


def _check_complete(received: int, expected: int) -> None:
    if received < expected:
        raise Refused("InvalidInput", detail="the body is shorter than its Content-Length")
