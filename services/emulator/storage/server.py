"""The storage server: Blob storage and Data Lake Gen2 on one port, path style, over one directory."""

import asyncio
import os
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from aiohttp import EMPTY_PAYLOAD, web

from services.emulator.clock import Clock
from services.emulator.identity.issuer import Issuer
from services.emulator.listener import Listener
from services.emulator.storage.auth.authorization import Authorization
from services.emulator.storage.auth.user_delegation import DelegationKeys
from services.emulator.storage.auth.well_known import WELL_KNOWN_ACCOUNT, WELL_KNOWN_KEY
from services.emulator.storage.faults import At, Faults
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.records import ContainerSet
from services.emulator.storage.operations.batch import Part, check_batchable, submit_batch
from services.emulator.storage.operations.handler_table import HANDLERS
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.store.sweeper import Sweeper
from services.emulator.storage.wire.connection import StorageConnection
from services.emulator.storage.wire.delivery import send_response
from services.emulator.storage.wire.request import (
    StorageRequest,
    check_headers,
    find_sources,
    parse_query,
    parse_resource,
)
from services.emulator.storage.wire.response import Response, error_response
from services.emulator.storage.wire.routing import Dialect, Operation, find_operation, guess_dialect
from shared.http.page_guard import find_foreign_page
from shared.service.addresses import is_loopback
from shared.service.errors import PortInUse
from shared.service.log_events import EventLog

log = EventLog(__name__)

INITIAL_CONTAINERS = ("checkpoints", "lake")

DEFAULT_MAX_BODY_BYTES = 4000 * 1024 * 1024  # the service's limit for one append or block


class StorageServer:
    """The server of the files in `data_dir/storage`. It serves within `async with`.

    Raises PortInUse if its port is taken. With `fsync` an acknowledged write survives a power cut, not only a
    kill, but every write waits for the disk. With `tls` the same port serves https too.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        account: str = WELL_KNOWN_ACCOUNT,
        account_key: str = WELL_KNOWN_KEY,
        fsync: bool = False,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
        issuer: Issuer | None = None,
        clock: Callable[[], float] = time.time,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._is_guarded = is_loopback(host)
        self.faults = Faults()
        self._account = account
        self._account_key = account_key
        self._max_body_bytes = max_body_bytes
        self.clock = Clock(clock)
        self._store = FileStore(data_dir / "storage", account, fsync=fsync, clock=self.clock)
        namespace = self._store.namespace
        self._authorization = Authorization(
            account, account_key, issuer, namespace.find_policies, namespace.has_path
        )
        self._sweeper = Sweeper(self._store.disk)
        server = web.Server(self._serve)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        self._listener = Listener(partial(StorageConnection, server), tls)

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self._account};AccountKey={self._account_key};"
            f"BlobEndpoint=http://{self.host}:{self.port}/{self._account};"
        )

    async def __aenter__(self) -> Self:
        self._store.open()
        for name in INITIAL_CONTAINERS:
            if name not in self._store.namespace.containers:
                self._store.commit(ContainerSet(name, self._store.new_container({})))
        await self._runner.setup()
        try:
            await self._listener.open(self.host, self.port)
        except OSError as exc:
            await self._close()
            raise PortInUse(f"storage cannot listen on {self.host}:{self.port}: {exc.strerror}") from exc
        self.port = self._listener.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        await self._listener.close()
        await self._runner.cleanup()
        await self._sweeper.finish()
        self._store.close()

    async def _serve(self, raw: web.BaseRequest) -> web.StreamResponse:
        """Serve one request. Abort the connection if a fault drops the response."""
        request_id = str(uuid4())
        try:
            if (response := await self._respond(raw, request_id)) is not None:
                return await send_response(raw, response, request_id)
        except ConnectionError:
            log.debug("client_disconnected", method=raw.method, path=raw.path)
        if raw.transport is not None:
            raw.transport.abort()
        return web.Response()

    async def _respond(
        self, raw: web.BaseRequest, request_id: str, part: Part | None = None
    ) -> Response | None:
        """Return the response to a request or to a part of a batch, or None if a fault drops the response."""
        dialect = Dialect.BLOB
        try:
            request = self._parse(raw, part)
            dialect = guess_dialect(request)
            operation = find_operation(request)
            if part is not None:
                check_batchable(operation)
            dialect = operation.dialect if dialect is Dialect.BLOB else dialect
            return await self._perform(raw, request, operation)
        except Refused as refused:
            return self._error(raw, refused, dialect, request_id)
        except ConnectionError:
            raise
        except OSError as exc:  # the disk is full or broken: the client may retry
            log.exception("disk_failed", method=raw.method, path=raw.path)
            broken = Refused("InternalError", detail=str(exc.strerror))
            return self._error(raw, broken, dialect, request_id)

    def _error(self, raw: web.BaseRequest, refused: Refused, dialect: Dialect, request_id: str) -> Response:
        now = datetime.fromtimestamp(self.clock(), UTC).isoformat()
        return error_response(refused, dialect, request_id=request_id, now=now, head=raw.method == "HEAD")

    def _parse(self, raw: web.BaseRequest, part: Part | None) -> StorageRequest:
        if self._is_guarded and (reason := find_foreign_page(raw.method, raw.headers)) is not None:
            raise Refused("AuthorizationFailure", detail=reason)
        check_headers(part.headers if part else raw.headers)
        raw_path, _, raw_query = (part.target if part else raw.raw_path).partition("?")
        container, path = parse_resource(raw_path, self._account)
        return StorageRequest(
            method=part.method if part else raw.method,
            raw_path=raw_path,
            account=self._account,
            container=container,
            path=path,
            query=parse_query(raw_query),
            headers=part.headers if part else raw.headers,
            body=EMPTY_PAYLOAD if part else raw.content,
            remote=raw.remote or "",
            max_body_bytes=self._max_body_bytes,
            now_us=int(self.clock() * 1_000_000),
            is_secure=raw.secure,
        )

    async def _perform(
        self, raw: web.BaseRequest, request: StorageRequest, operation: Operation
    ) -> Response | None:
        now_s = self.clock.machine()
        caller = self._authorization.check(request, operation, now_s)
        self._refuse_links(request)
        resource = f"{request.container}/{request.path}"
        if await self._apply_fault("before", operation.name, resource):
            return None
        if raw.body_exists and request.headers.get("Expect", "").lower() == "100-continue":
            # Only if there is a body to wait for: the C++ SDK asks for it without a body too, and cannot
            # parse the response if it comes in one segment with the 100.
            await raw.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._store.remove_expired(request.now_us)
        if operation.name == submit_batch.__name__:
            response = await submit_batch(request, partial(self._respond_to_part, raw))
        elif operation.name == DelegationKeys.get_user_delegation_key.__name__:
            response = await self._authorization.delegation.get_user_delegation_key(request, caller, now_s)
        else:
            response = await HANDLERS[operation.name](request, self._store)
        self._sweeper.wake()
        with ExitStack() as unsent:
            if response.file is not None:
                unsent.callback(os.close, response.file.fd)
            if await self._apply_fault("after", operation.name, resource):
                return None
            unsent.pop_all()
        return response

    def _refuse_links(self, request: StorageRequest) -> None:
        """Check that neither the request's path nor its source leads through a link in the data folder."""
        for container, path in (request.container, request.path), *find_sources(request):
            if container and (link := self._store.disk.find_link(container, path)) is not None:
                name = link.relative_to(self._store.disk.tree)
                raise Refused("PathNotFound", detail=f"{name} is a link in the data folder: not followed")

    async def _respond_to_part(self, raw: web.BaseRequest, part: Part) -> Response:
        request_id = str(uuid4())
        if (response := await self._respond(raw, request_id, part)) is None:
            raise ConnectionResetError("a fault drops the response to a part, and so the whole response")
        return replace(response, headers={**response.headers, "x-ms-request-id": request_id})

    async def _apply_fault(self, at: At, operation: str, resource: str) -> bool:
        """Apply the fault that is armed for this request, if any. Return whether it drops the response.

        Raises Refused if the fault makes the request fail.
        """
        fault = self.faults.consume(at, operation, resource)
        if fault is None:
            return False
        if fault.kind == "fail":
            raise fault.refusal()
        if fault.kind == "slow":
            await asyncio.sleep(fault.delay_s)
        return fault.kind == "drop_answer"
