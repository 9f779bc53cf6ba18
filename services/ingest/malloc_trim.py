"""The return of free memory to the operating system."""

import asyncio
import ctypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyarrow as pa

from shared.service.tasks import cancel_until_done

_EVERY_S = 60.0


@asynccontextmanager
async def trim_memory() -> AsyncIterator[None]:
    """Make Arrow use the C library's allocator, and return its free memory once a minute within the block.

    Arrow's default allocator returns pages at once and gets them back zeroed, which takes a sixth of the time
    at full load. The C library, if not trimmed, would keep the memory of a single burst for good.
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
