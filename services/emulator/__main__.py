"""`python -m services.emulator`: Event Hubs and storage for a laptop, on one directory."""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from ssl import SSLContext
from typing import Any, TypeVar

from services.emulator.admin.server import AdminServer
from services.emulator.event_hubs.config_file import read_config
from services.emulator.event_hubs.endpoints import TlsEndpoint, WebSocketEndpoint
from services.emulator.event_hubs.sas import SharedKey
from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.identity.issuer import Issuer
from services.emulator.malloc_tuning import keep_freed_memory
from services.emulator.settings import EmulatorSettings
from services.emulator.storage.server import StorageServer
from services.emulator.tls.certificate import Certificate
from shared.service.data_dir import lock_data_dir
from shared.service.errors import PortInUse
from shared.service.local_stack import write_addresses
from shared.service.run import run_service
from shared.service.settings import ConnectionSettings, variable_of

T = TypeVar("T")


async def serve(settings: EmulatorSettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set.

    Raises NeedsAttention if a port, the data directory or a key is unusable.
    """
    settings.refuse_known_keys_beyond_loopback()
    async with AsyncExitStack() as stack:
        stack.enter_context(lock_data_dir(settings.data, "emulator"))
        certificate = settings.certificate()
        context = certificate.server_context() if certificate else None
        issuer = Issuer(settings.data)
        event_hubs = _build_event_hubs(settings, issuer)
        storage = _build_storage(settings, issuer, context)
        admin = AdminServer(event_hubs, storage, port=settings.resolve_port("admin"), issuer=issuer)
        websockets = WebSocketEndpoint(event_hubs, context, port=settings.resolve_port("event_hubs_ws"))
        tls = (
            TlsEndpoint(event_hubs, context, port=settings.resolve_port("event_hubs_tls"))
            if context
            else None
        )
        for server, flag in (
            (event_hubs, "--event-hubs-port"),
            (tls, "--event-hubs-tls-port"),
            (websockets, "--event-hubs-ws-port"),
            (storage, "--storage-port"),
            (admin, "--admin-port"),
        ):
            if server is not None:
                await stack.enter_async_context(_open_listener(server, flag))
        ready = {
            "event_hubs": event_hubs.connection_string,
            "event_hubs_ws": websockets.connection_string,
            **_describe_tls(tls, certificate),
            "storage": storage.connection_string,
            "admin": admin.url,
            "identity_endpoint": issuer.endpoint,
            "identity_header": issuer.header,
            "data": str(settings.data.absolute()),
        }
        _announce_ready(settings, ready)
        await stop.wait()


def _build_event_hubs(settings: EmulatorSettings, issuer: Issuer) -> EventHubsServer:
    return EventHubsServer(
        settings.data,
        host=settings.host,
        port=settings.resolve_port("event_hubs"),
        keys=[SharedKey(settings.key_name, settings.key.get_secret_value())],
        durability=settings.durability,
        sync_interval_s=settings.sync_interval_s,
        retention_bytes=settings.retention_bytes,
        segment_bytes=settings.segment_bytes,
        throughput_units=settings.throughput_units,
        hubs=() if settings.config is None else read_config(settings.config),
        issuer=issuer,
    )


def _build_storage(settings: EmulatorSettings, issuer: Issuer, tls: SSLContext | None) -> StorageServer:
    return StorageServer(
        settings.data,
        host=settings.host,
        port=settings.resolve_port("storage"),
        account=settings.storage_account,
        account_key=settings.storage_key.get_secret_value(),
        issuer=issuer,
        tls=tls,
    )


def _describe_tls(tls: TlsEndpoint | None, certificate: Certificate | None) -> dict[str, str]:
    if tls is None or certificate is None:
        return {}
    return {"event_hubs_tls": tls.connection_string, "ca": str(certificate.ca.absolute())}


@asynccontextmanager
async def _open_listener(server: AbstractAsyncContextManager[T], flag: str) -> AsyncIterator[T]:
    async with AsyncExitStack() as stack:
        try:
            entered = await stack.enter_async_context(server)
        except PortInUse as exc:
            raise PortInUse(f"{exc}; free it or choose another port with {flag} or --port-base") from exc
        yield entered


def _announce_ready(settings: EmulatorSettings, addresses: Mapping[str, str]) -> None:
    write_addresses(settings.data, {"event": "ready", **addresses})
    shown = settings.hide_secrets(addresses)
    if settings.as_json:
        lines = [json.dumps({"event": "ready", **shown}, separators=(",", ":"))]
    else:
        lines = [f"{name.replace('_', ' '):<18}{value}" for name, value in shown.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Run the emulator with the settings, which `overrides` replaces in part. Return the exit code."""
    keep_freed_memory()
    return run_service(EmulatorSettings, overrides, serve)


def _parse_flags() -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m services.emulator", description=__doc__)
    for name, field in EmulatorSettings.model_fields.items():
        if name in ConnectionSettings.model_fields:
            continue
        flag = "--json" if name == "as_json" else f"--{name.replace('_', '-')}"
        help_text = f"{field.description} ({variable_of(EmulatorSettings, name)}, default {field.default})"
        if field.annotation is bool:
            action = argparse.BooleanOptionalAction if field.default else "store_true"
            parser.add_argument(flag, dest=name, action=action, default=None, help=help_text)
        else:
            parser.add_argument(flag, dest=name, help=help_text.replace("%", "%%"))
    return vars(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main(_parse_flags()))
