"""The embedded Event Hubs server: a namespace on disk and the listener that serves it."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from services.emulator.event_hubs.declared_hubs import DeclaredHub, declare
from services.emulator.event_hubs.faults import Faults
from services.emulator.event_hubs.hub_client import HubClient
from services.emulator.event_hubs.hub_description import HubKey
from services.emulator.event_hubs.hubs import Hub, HubRegistry, KeyUnknown
from services.emulator.event_hubs.namespace import Namespace
from services.emulator.event_hubs.sas import DEVELOPMENT_KEY, DEVELOPMENT_KEY_NAME, KeyRing, SharedKey
from services.emulator.event_hubs.throughput_bucket import Throughput
from services.emulator.identity.issuer import Issuer
from services.emulator.log.durability import Durability, GroupCommit
from services.emulator.log.files import OpenFiles
from services.emulator.log.partition_log import SEGMENT_BYTES, PartitionLog
from shared.amqp.asyncio_protocol import HANDSHAKE_TIMEOUT_S, AmqpProtocol
from shared.service.errors import PortInUse
from shared.service.log_events import EventLog

log = EventLog(__name__)

RETENTION_INTERVAL_S = 1.0
# Old events are deleted a segment at a time, so that a small limit needs small segments.
_SEGMENTS_PER_LIMIT = 4
_BACKLOG = 1024
_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104  # compared, not listened on


class EventHubsServer:
    """An Event Hubs server, to be used as an async context manager.

    Accepted events survive any end of the process, kill -9 included.
    """

    namespace: Namespace
    port: int

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        keys: Iterable[SharedKey] = (SharedKey(DEVELOPMENT_KEY_NAME, DEVELOPMENT_KEY),),
        durability: Durability = Durability.WRITE,
        sync_interval_s: float = 1.0,
        retention_bytes: int | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        throughput_units: float | None = None,
        hubs: Iterable[DeclaredHub] = (),
        issuer: Issuer | None = None,
        patience_s: float = HANDSHAKE_TIMEOUT_S,
    ) -> None:
        """Configure a server; it listens once the context is entered.

        `retention_bytes` bounds each partition. `sync_interval_s` applies only to Durability.INTERVAL. A
        client that has not opened its connection after `patience_s` is dropped. If `throughput_units` is
        None, no client is throttled.
        """
        self._directory = data_dir / "event_hubs"
        self.host = host
        self.patience_s = patience_s
        self._port = port
        self._keys = tuple(keys)
        self._durability = durability
        self._sync_interval_s = sync_interval_s
        self._retention_bytes = retention_bytes
        self._segment_bytes = segment_bytes
        if retention_bytes is not None:
            self._segment_bytes = min(segment_bytes, retention_bytes // _SEGMENTS_PER_LIMIT)
        self._throughput_units = throughput_units
        self._declared = tuple(hubs)
        self._issuer = issuer
        self._clients: set[HubClient] = set()
        self._files = OpenFiles()
        self._background: set[asyncio.Future[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            hubs = HubRegistry(self._directory, self._open_log, self._run_in_background)
            stack.callback(hubs.close)
            stack.push_async_callback(self._finish_background)
            self.namespace = Namespace(
                hubs,
                KeyRing(self._keys, hubs.own_keys),
                GroupCommit(self._durability),
                retention_bytes=self._retention_bytes,
                served_file=self._directory.with_name("event_hubs_served.json"),
                issuer=self._issuer,
                throughput_units=self._throughput_units,
            )
            declare(hubs, self._declared)
            listener = await self._listen()
            self.port = listener.sockets[0].getsockname()[1]
            stack.callback(self.namespace.served_time.save)
            stack.push_async_callback(self._stop, listener)
            self._tasks = [asyncio.create_task(self._expire_for_ever())]
            if self._durability is Durability.INTERVAL:
                self._tasks.append(asyncio.create_task(self._sync_for_ever()))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def connection_string(self) -> str:
        return f"{self.connection_string_at(self.port)}UseDevelopmentEmulator=true;"

    def connection_string_at(self, port: int, key: SharedKey | None = None) -> str:
        """Return a connection string for TLS on `port`.

        Append UseDevelopmentEmulator=true to it to connect without TLS.
        """
        key = key or self._keys[0]
        host = "127.0.0.1" if self.host in _WILDCARDS else self.host
        return f"Endpoint=sb://{host}:{port};SharedAccessKeyName={key.name};SharedAccessKey={key.value};"

    def hub_connection_string(self, name: str, key_name: str) -> str:
        """Return the connection string with one of the hub's own keys.

        Raises KeyUnknown if the hub has no key of this name or does not exist.
        """
        hub = self.namespace.hubs.find(name)
        for key in [] if hub is None else hub.keys:
            if key.name == key_name:
                found = self.connection_string_at(self.port, key)
                return f"{found}UseDevelopmentEmulator=true;EntityPath={name};"
        raise KeyUnknown(f"hub {name} has no key {key_name}")

    @property
    def faults(self) -> Faults:
        """The injected faults: `server.faults.inject(Fault("reject", hub="telemetry"))`."""
        return self.namespace.faults

    @property
    def throughput(self) -> Throughput:
        """The limit of bytes and events per second: `server.throughput.set_units(1)`."""
        return self.namespace.throughput

    def create_hub(
        self,
        name: str,
        partition_count: int = 4,
        consumer_groups: Iterable[str] | None = None,
        retention_hours: float = 24,
        keys: Iterable[HubKey] | None = None,
    ) -> Hub:
        """Create the hub, or update and return the existing one.

        If `consumer_groups` is omitted, any group is accepted. `keys` are valid for this hub only; if they
        are omitted, an existing hub keeps its keys.
        """
        hub = self.namespace.hubs.create(name, partition_count, consumer_groups, retention_hours, keys)
        self._recheck_keys()
        return hub

    def delete_hub(self, name: str) -> None:
        """Detach the hub's links and delete the hub with its events.

        Raises HubUnknown if there is no such hub.
        """
        self.namespace.delete_hub(name)
        self._recheck_keys()

    def _recheck_keys(self) -> None:
        for client in list(self._clients):
            client.authorizations.recheck_keys()

    def accept(self) -> AmqpProtocol:
        """Return the protocol for one new connection, over any transport.

        The connection ends with the server.
        """
        return HubClient(self.namespace, self._clients, patience_s=self.patience_s).protocol

    async def _listen(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(
                self.accept,
                self.host,
                self._port,
                backlog=_BACKLOG,
            )
        except OSError as exc:
            raise PortInUse(f"Event Hubs cannot listen on {self.host}:{self._port}: {exc.strerror}") from exc

    async def _stop(self, listener: asyncio.Server) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        listener.close()
        for client in list(self._clients):
            client.connection.close()
        # One turn of the loop for the last frames; a peer that does not read them is not waited for.
        await asyncio.sleep(0)
        for client in list(self._clients):
            client.connection.peer.abort()
        await listener.wait_closed()

    def _open_log(self, directory: Path) -> PartitionLog:
        return PartitionLog(
            directory,
            segment_bytes=self._segment_bytes,
            in_background=self._run_in_background,
            files=self._files,
        )

    def _run_in_background(self, work: Callable[[], None]) -> None:
        def attempt() -> None:
            try:
                work()
            except OSError as exc:
                # Nothing is lost: what could not be sealed or deleted is tried again at the next start.
                log.warning("files_not_finished", file=exc.filename, reason=exc.strerror)

        future = asyncio.get_running_loop().run_in_executor(None, attempt)
        self._background.add(future)
        future.add_done_callback(self._background.discard)

    async def _finish_background(self) -> None:
        await asyncio.gather(*self._background)

    async def _expire_for_ever(self) -> None:
        while True:
            self.namespace.expire()
            await asyncio.sleep(RETENTION_INTERVAL_S)

    async def _sync_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._sync_interval_s)
            for hub in self.namespace.hubs:
                for partition in hub.logs:
                    if partition.is_synced:
                        continue
                    try:
                        await asyncio.to_thread(partition.sync)
                    except OSError as exc:
                        # Tried again after the interval.
                        log.warning("log_not_synced", directory=str(partition.directory), reason=exc.strerror)
