"""Staged files that broken-off compactions left behind.

Safe beside a compaction that still runs: it then finds its staged file gone and ends without a result.
"""

from datetime import UTC, datetime, timedelta

import structlog

from services.compaction.file_groups import staging_folder
from shared.lake.client import Lake

log = structlog.get_logger()


async def vacuum_staging(lake: Lake, stream: str, max_age_s: float) -> None:
    """Remove those that are older than that."""
    before = datetime.now(UTC) - timedelta(seconds=max_age_s)
    old = [file.path async for file in lake.list(staging_folder(stream)) if file.modified_at <= before]
    for path in old:
        await lake.delete(path)
    if old:
        log.info("staging_swept", stream=stream, attempts=len(old))
