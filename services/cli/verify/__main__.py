"""`fleetprice verify`: check that every reading landed once, in order, and was priced once."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from services.cli.verify.served_files import serve_files
from services.cli.verify.settings import VerifySettings
from services.cli.verify.verdict import Verdict
from services.cli.verify.verification import run_verification
from shared.service.errors import NeedsAttention, SinkUnavailable, SourceUnavailable
from shared.service.local_stack import find_running_stack, with_addresses
from shared.service.run import EXIT_DONE, EXIT_FOUND_WRONG, run_service
from shared.service.tasks import Stopped, unless_stopped
from shared.streams.event_hubs.errors import SDK_ERRORS


async def serve(settings: VerifySettings, stop: asyncio.Event) -> int:
    """Verify, write the verdict and return the exit code.

    Raises NeedsAttention if stopped before the verdict.
    """
    try:
        verdict = await unless_stopped(stop, _verify(settings))
    except Stopped as stopped:
        raise NeedsAttention("stopped before everything was read: there is no verdict") from stopped
    except (*SDK_ERRORS, SourceUnavailable, SinkUnavailable) as error:
        first_line = str(error).partition("\n")[0]
        raise NeedsAttention(
            f"the stack ended while it was verified, verify it again: {first_line}"
        ) from error
    return EXIT_DONE if verdict.is_clean else EXIT_FOUND_WRONG


async def _verify(settings: VerifySettings) -> Verdict:
    begin = _wait_for_input_end() if settings.await_input_end else None
    async with (
        _connect(settings) as (connected, is_running),
        run_verification(connected, is_running=is_running, begin=begin) as verdict,
    ):
        sys.stdout.write((verdict.json() if settings.as_json else verdict.table()) + "\n")
        sys.stdout.flush()
        sys.stderr.writelines(f"fleetprice: {line}\n" for line in verdict.fault_lines())
        return verdict


async def _wait_for_input_end() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while await reader.read(1024):
            pass
    finally:
        transport.close()


@asynccontextmanager
async def _connect(settings: VerifySettings) -> AsyncIterator[tuple[VerifySettings, bool]]:
    """Yield settings that name the servers, and whether a running stack is verified.

    Servers that the settings name count as at rest. If none are named and no stack runs on the data
    directory, the files of the directory are served until the block ends.
    """
    if settings.event_hubs.get_secret_value():
        yield settings, False
    elif running := find_running_stack(settings.data):
        yield with_addresses(settings, running), True
    else:
        async with serve_files(settings.data) as served:
            yield with_addresses(settings, served), False


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Verify what the settings name. Exit codes: 0 clean, 1 something is wrong, 2 a person must act."""
    return run_service(VerifySettings, overrides, serve)


if __name__ == "__main__":
    sys.exit(main())
