"""Deletion of staged files that interrupted compactions left behind.

Deletion is safe while a compaction runs: a compaction whose staged file is deleted ends without a result.
"""

from datetime import UTC, datetime, timedelta

import structlog

from services.compaction.file_groups import staging_folder
from shared.lake.client import Lake

log = structlog.get_logger()


async def vacuum_staging(lake: Lake, stream: str, max_age_s: float) -> None:
    """Delete the staged files of a stream that are older than `max_age_s`."""
    before = datetime.now(UTC) - timedelta(seconds=max_age_s)
    old = [file.path async for file in lake.list(staging_folder(stream)) if file.modified_at <= before]
    for path in old:
        await lake.delete(path)
    if old:
        log.info("staging_swept", stream=stream, attempts=len(old))
