"""`fleetprice tail`: watch a stream."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any

from services.cli.tail.connection import resolve_connection
from services.cli.tail.record_view import TailRecord, format_plain, format_styled
from services.cli.tail.settings import TailSettings
from services.cli.tail.start_position import Start, parse_start
from services.cli.tail.streams import tail_records
from shared.service.errors import NeedsAttention, SourceUnavailable
from shared.service.run import EXIT_DONE, run_service
from shared.service.tasks import Stopped, unless_stopped

Show = Callable[[TailRecord], None]


async def serve(settings: TailSettings, stop: asyncio.Event) -> int:
    """Show records until `stop` is set or stdout is closed."""
    start = parse_start(settings.start)
    with suppress(Stopped):
        await unless_stopped(stop, _watch(resolve_connection(settings), start))
    return EXIT_DONE


async def _watch(settings: TailSettings, start: Start) -> None:
    show = _choose_show(settings)
    try:
        async with aclosing(tail_records(settings, start)) as records:
            async for record in records:
                show(record)
    except BrokenPipeError:
        # The reader, such as `head`, has ended; Python's own flush at exit must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except SourceUnavailable as error:
        raise NeedsAttention(f"{settings.stream} cannot be read from {settings.start}: {error}") from error


def _choose_show(settings: TailSettings) -> Show:
    """Return the function that writes a record: as JSON, styled for a terminal, or as plain text."""
    if settings.as_json:
        return lambda record: _write_line(record.json_line())
    if sys.stdout.isatty() and (show := _rich_show()) is not None:
        return show
    return lambda record: _write_line(format_plain(record.cells()))


def _rich_show() -> Show | None:
    """Return the function that writes a styled record; None if rich (of the extra `local`) is missing."""
    try:
        from rich.console import Console  # noqa: PLC0415 - the extra may be missing
        from rich.text import Text  # noqa: PLC0415
    except ImportError:
        return None
    console = Console(soft_wrap=True)
    return lambda record: console.print(Text.assemble(*format_styled(record.cells())))


def _write_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Watch the stream that the settings name.

    Exit codes: 0 after Ctrl-C or a closed pipe, 2 a person must act.
    """
    return run_service(TailSettings, overrides, serve)


if __name__ == "__main__":
    sys.exit(main())
