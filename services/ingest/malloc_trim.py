"""The return of free memory to the system."""

import asyncio
import ctypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyarrow as pa

from shared.service.tasks import cancel_until_done

_EVERY_S = 60.0


@asynccontextmanager
async def trim_memory() -> AsyncIterator[None]:
    """Keep Arrow's columns in the C library's memory within the block, and trim that once a minute.

    Arrow's own allocator returns pages at once and gets them back zeroed, which takes a sixth of the time at
    full load. The C library, if not trimmed, would keep for good the memory of a single burst.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    trimming = asyncio.create_task(_trim_regularly())
    try:
        yield
    finally:
        await cancel_until_done(trimming)


async def _trim_regularly() -> None:
    # Only glibc has it [malloc_trim(3)].
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        await asyncio.sleep(_EVERY_S)
        await asyncio.to_thread(trim, 0)  # takes tens of milliseconds if much is free
