"""What this process holds of the machine's memory and does not need any more, given back."""

import asyncio
import ctypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyarrow as pa

from shared.service.tasks import cancel_until_done

_EVERY_S = 60.0


@asynccontextmanager
async def giving_memory_back() -> AsyncIterator[None]:
    """Within the block columns are in the C library's memory, which gives back what is free once a minute.

    Arrow's own allocator gives pages back at once and has them zeroed again, a sixth of the time at full
    load; the C library by itself would hold for good what a burst once took.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    giving = asyncio.create_task(_give_back())
    try:
        yield
    finally:
        await cancel_until_done(giving)


async def _give_back() -> None:
    # glibc's alone has it [malloc_trim(3)]; where it is another, there is nothing to ask.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        await asyncio.sleep(_EVERY_S)
        await asyncio.to_thread(trim, 0)  # tens of milliseconds where there is much
