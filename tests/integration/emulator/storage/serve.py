"""A storage server in its own process, for tests that kill it: `python serve.py DIR PORT [fsync]`."""

import asyncio
import os
import sys
from pathlib import Path

from services.emulator.storage.server import StorageServer
from shared.service import failpoints


async def serve() -> None:
    if spec := os.environ.get("FLEETPRICE_FAILPOINTS"):
        failpoints.arm(spec, Path(os.environ["FLEETPRICE_FAILPOINTS_LOG"]))
    async with StorageServer(Path(sys.argv[1]), port=int(sys.argv[2]), fsync="fsync" in sys.argv) as storage:
        sys.stdout.write(f"{storage.port}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


asyncio.run(serve())
