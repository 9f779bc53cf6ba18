"""Removal of staged files that interrupted commits left behind.

The staged file is deleted first: without it the attempt can never land. Then the slot is read, and the
attempt's dead letters are deleted unless the slot's footer is of that attempt. So a sweep is safe beside
active writers, even ones that no longer own the partition. The age limit keeps a sweep from disturbing
commits under way.
"""

import re
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta

import structlog
from prometheus_client import Counter

from shared.lake.client import Lake
from shared.lake.slots.chain import read_footer
from shared.lake.slots.hints import clear_hints
from shared.lake.slots.slot import ChainKey, StagedFile, parse_staged_name, staging_folder
from shared.service.errors import NeedsAttention, SettingsError

log = structlog.get_logger()

_STAGING, _UNNAMED = "_staging", re.compile("[0-9a-f]{32}")

SWEPT = Counter("fleetprice_ingest_swept_attempts_total", "Broken-off commits cleared away", ["stream"])


async def sweep(lake: Lake, stream: str, chains: AbstractSet[ChainKey], max_age_s: float) -> int:
    """Remove files that interrupted attempts at these chains left behind; return the number of attempts.

    Only staged files older than `max_age_s` are removed.
    """
    await clear_hints(lake, stream, chains)
    before = datetime.now(UTC) - timedelta(seconds=max_age_s)
    old = [
        (file.path, staged)
        async for file in lake.list(staging_folder(stream), recursive=False)
        if (staged := parse_staged_name(stream, file.path.rpartition("/")[2])) is not None
        and staged.chain in chains
        and file.modified_at <= before
    ]
    for path, staged in old:
        # A crash after this leaves dead letters that no footer names: they do not count.
        await lake.delete(path)
        await _drop_letters(lake, staged)
    await _drop_unnamed(lake, before)
    if old:
        SWEPT.labels(stream).inc(len(old))
        log.info("staging_swept", stream=stream, attempts=len(old))
    return len(old)


async def _drop_unnamed(lake: Lake, before: datetime) -> None:
    """Remove files of `create_if_absent` that were never renamed; at this age they never will be."""
    async for file in lake.list(_STAGING, recursive=False):
        if _UNNAMED.fullmatch(file.path.rpartition("/")[2]) and file.modified_at <= before:
            await lake.delete(file.path)


async def _drop_letters(lake: Lake, staged: StagedFile) -> None:
    slot = staged.chain.slot(staged.hour, staged.first)
    try:
        committed = await read_footer(lake, slot)
    except SettingsError:
        raise
    except NeedsAttention as error:
        # Nobody knows whether these letters count. They are kept, and no other partition has to wait.
        log.warning("slot_unreadable", path=slot, reason=str(error))
        return
    if committed is None or committed.attempt != staged.attempt:
        await lake.delete(staged.chain.dead_letters(staged.first, staged.attempt))
