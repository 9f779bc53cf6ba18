"""`fleetprice dead-letters`: list, show, repair and replay records that could not be decoded."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

from services.cli.dead_letters import letter_view
from services.cli.dead_letters.replay_command import ReplayCommand
from services.cli.dead_letters.replay_log import ReplayStates
from services.cli.dead_letters.selection import Selection
from services.cli.dead_letters.settings import DeadLettersSettings
from services.cli.dead_letters.stored_letters import find_dead_letters, refuse_unreadable
from shared.lake.client import Lake, LakeConnection, open_lake
from shared.service.errors import NeedsAttention, SinkUnavailable, SourceUnavailable
from shared.service.local_stack import resolve_lake
from shared.service.run import EXIT_DONE, EXIT_FOUND_WRONG, run_service
from shared.service.tasks import Stopped, unless_stopped
from shared.streams.event_hubs.errors import SDK_ERRORS

_VARIABLES = "FLEETPRICE_EVENT_HUBS and FLEETPRICE_STORAGE"


async def serve(settings: DeadLettersSettings, stop: asyncio.Event) -> int:
    """Run the action and return the exit code.

    A stop interrupts the action at once; a replay that is run again continues, as it does after a kill.
    Raises NeedsAttention if stopped, or if the hub or the lake does not answer.
    """
    try:
        return await unless_stopped(stop, _run(resolve_lake(settings, settings.data, _VARIABLES)))
    except Stopped as stopped:
        raise NeedsAttention("stopped before it was done: the same again goes on") from stopped
    except (*SDK_ERRORS, SourceUnavailable, SinkUnavailable) as error:
        raise NeedsAttention(str(error).partition("\n")[0]) from error


async def _run(settings: DeadLettersSettings) -> int:
    async with open_lake(LakeConnection.from_settings(settings)) as lake:
        if settings.action == "replay":
            return await ReplayCommand(settings, lake).run()
        if settings.action == "show":
            return await _show(settings, lake)
        return await _list(settings, lake)


async def _list(settings: DeadLettersSettings, lake: Lake) -> int:
    selection, states, unreadable = Selection.from_settings(settings), ReplayStates(lake), list[str]()
    if not settings.as_json:
        _write_line(letter_view.format_heading())
    async for found in find_dead_letters(lake, selection, unreadable):
        is_done = await states.is_done(found.place.chain, found.id)
        _write_line(
            letter_view.format_json(found, is_done, with_body=False)
            if settings.as_json
            else letter_view.format_row(found, is_done)
        )
    refuse_unreadable(unreadable)
    return EXIT_DONE


async def _show(settings: DeadLettersSettings, lake: Lake) -> int:
    selection, states, unreadable = Selection.from_settings(settings), ReplayStates(lake), list[str]()
    count = 0
    async for found in find_dead_letters(lake, selection, unreadable):
        count += 1
        if settings.raw:
            sys.stdout.buffer.write(found.letter.body)
            continue
        is_done = await states.is_done(found.place.chain, found.id)
        _write_line(
            letter_view.format_json(found, is_done, with_body=True)
            if settings.as_json
            else letter_view.format_letter(found, is_done)
        )
    refuse_unreadable(unreadable)
    if not count:
        sys.stderr.write(f"fleetprice: there is no such dead letter in {settings.stream}\n")
    return EXIT_DONE if count else EXIT_FOUND_WRONG


def _write_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Run the action. Exit codes: 0 done, 1 a letter was refused or not found, 2 a person must act."""
    return run_service(DeadLettersSettings, overrides, serve)


if __name__ == "__main__":
    sys.exit(main())
