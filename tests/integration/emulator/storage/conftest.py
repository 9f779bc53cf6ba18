import asyncio
import base64
import hashlib
import hmac
from email.utils import formatdate
from urllib.parse import unquote

import pytest
from azure.storage.blob.aio import BlobServiceClient, LinearRetry
from azure.storage.filedatalake.aio import DataLakeServiceClient

from services.emulator.storage.auth.well_known import WELL_KNOWN_ACCOUNT, WELL_KNOWN_KEY


class RawClient:
    """A client that signs any request correctly, well formed or not."""

    def __init__(self, port):
        self.port = port

    async def send(self, method, target, headers=(), body=b"", length=None, hang_up=False):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(self.head(method, target, headers, len(body) if length is None else length) + body)
        response = b"" if hang_up else await reader.read(-1)
        writer.close()
        await writer.wait_closed()
        status = int(response.split(b" ", 2)[1]) if response else 0
        return status, response

    def head(self, method, target, headers, length):
        path, _, query = target.partition("?")
        path = f"/{WELL_KNOWN_ACCOUNT}{path}"
        sent = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03", **dict(headers)}
        if method in {"PUT", "PATCH", "POST"}:
            sent.setdefault("Content-Length", str(length))
        sent["Authorization"] = f"SharedKey {WELL_KNOWN_ACCOUNT}:{self._sign(method, path, query, sent)}"
        lines = [f"{method} {path}{'?' + query if query else ''} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name}: {value}" for name, value in sent.items()]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")

    def _sign(self, method, path, query, headers):
        by_name = {name.lower(): value for name, value in headers.items()}
        length = by_name.get("content-length", "")
        lines = [method, "", "", "" if length == "0" else length]
        names = ("content-md5", "content-type", "date", "if-modified-since", "if-match", "if-none-match")
        lines += [by_name.get(name, "") for name in names]
        lines += [by_name.get("if-unmodified-since", ""), by_name.get("range", "")]
        lines += [f"{name}:{by_name[name]}" for name in sorted(by_name) if name.startswith("x-ms-")]
        lines.append(f"/{WELL_KNOWN_ACCOUNT}{path}")
        pairs = [pair.partition("=") for pair in query.split("&") if pair]
        lines += sorted(f"{unquote(name).lower()}:{unquote(value)}" for name, _, value in pairs)
        text = "\n".join(lines).encode("latin-1")
        return base64.b64encode(
            hmac.new(base64.b64decode(WELL_KNOWN_KEY), text, hashlib.sha256).digest()
        ).decode()


@pytest.fixture
def raw_to():
    """Build a raw client of the server at a port."""
    return RawClient


@pytest.fixture
def raw(storage):
    return RawClient(storage.port)


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
    """The folder of the account's files on disk."""
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
