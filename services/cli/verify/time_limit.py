"""A limit on the time of a verification, which names what was being read when the time was over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.service.errors import NeedsAttention


@dataclass(slots=True)
class Stage:
    """The part of a verification that is running now."""

    reading: str = "the simulator's record"


@asynccontextmanager
async def limit_time(timeout_s: float) -> AsyncIterator[Stage]:
    """End the block after `timeout_s` seconds. Raises NeedsAttention, which names the block's stage."""
    stage = Stage()
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            yield stage
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise NeedsAttention(
            f"{stage.reading} could not be read within {timeout_s:g} s (--timeout-s): there is no verdict"
        ) from error
