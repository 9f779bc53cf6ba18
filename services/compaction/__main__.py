"""`python -m services.compaction`: merge small raw files into larger ones, the files of a Delta table."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from services.compaction.delta_table import StreamTable
from services.compaction.file_groups import GroupPolicy, table_folder
from services.compaction.report import Outcome, as_json, as_table, raise_failures
from services.compaction.settings import CompactionSettings
from services.compaction.storage_options import STORAGE_SCOPE, storage_options
from services.compaction.stream import StreamCompaction
from services.compaction.vacuum import vacuum_staging
from shared.lake.client import Lake, LakeConnection, open_lake
from shared.service.credentials import process_credential
from shared.service.errors import SettingsError, SinkUnavailable
from shared.service.local_stack import resolve_lake
from shared.service.run import run_service
from shared.service.settings import require_address
from shared.service.tasks import Stopped, unless_stopped

log = structlog.get_logger()


async def serve(settings: CompactionSettings, stop: asyncio.Event) -> None:
    """Run one pass, or one pass every `every_s` seconds until `stop`. A pass may be interrupted anywhere.

    A single pass raises NeedsAttention or SinkUnavailable once it has compacted what it could.
    """
    try:
        await unless_stopped(stop, _run(resolve_lake(settings, settings.data, "FLEETPRICE_STORAGE")))
    except Stopped as stopped:
        log.info("compaction_interrupted")
        if stopped.__cause__ is not None:
            raise stopped.__cause__ from None


async def _run(settings: CompactionSettings) -> None:
    async with open_lake(LakeConnection.from_settings(settings)) as lake:
        while settings.every_s:
            try:
                _report(settings, await run_pass(settings, lake))
            except SinkUnavailable as error:  # the next pass continues what this one began
                log.warning("pass_interrupted", reason=str(error))
            await asyncio.sleep(settings.every_s)
        outcomes = await run_pass(settings, lake)
        _report(settings, outcomes)
        raise_failures(outcomes)


def _report(settings: CompactionSettings, outcomes: Sequence[Outcome]) -> None:
    text = as_json(outcomes) if settings.as_json else as_table(outcomes, settings.older_than_s)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def run_pass(settings: CompactionSettings, lake: Lake) -> list[Outcome]:
    """Compact the due raw files of each stream, one stream after the other.

    A stream that cannot be compacted does not stop the others: its outcome says why.
    """
    return [await _compact(settings, stream, lake) for stream in await _list_streams(settings, lake)]


async def _list_streams(settings: CompactionSettings, lake: Lake) -> list[str]:
    """Return the streams in the raw zone, or only `settings.stream` if it is set.

    Raises SettingsError if `settings.stream` is not in the raw zone.
    """
    landed = [
        item.path.removeprefix("raw/")
        async for item in lake.list("raw", recursive=False, directories=True)
        if item.is_directory
    ]
    if not settings.stream:
        return sorted(landed)
    if settings.stream not in landed:
        raise SettingsError(f"raw/{settings.stream} is not there; streams with files: {', '.join(landed)}")
    return [settings.stream]


async def _compact(settings: CompactionSettings, stream: str, lake: Lake) -> Outcome:
    try:
        await vacuum_staging(lake, stream, settings.staging_max_age_s)
    except SinkUnavailable as error:
        return Outcome(stream, interrupted=str(error))
    table = StreamTable(
        stream, f"az://{settings.file_system}/{table_folder(stream)}", partial(_read_options, settings)
    )
    policy = GroupPolicy(settings.target_bytes, settings.older_than_s)
    return await StreamCompaction(policy, stream, lake, table).run()


async def _read_options(settings: CompactionSettings) -> dict[str, str]:
    storage = require_address(settings, "storage")
    if "AccountName=" in storage:
        return storage_options(storage, None)
    return storage_options(storage, (await process_credential().get_token(STORAGE_SCOPE)).token)


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Run compaction. Return the exit code: 0 done, 1 the lake did not answer, 2 a person must act."""
    return run_service(CompactionSettings, overrides, serve)


if __name__ == "__main__":
    sys.exit(main())
