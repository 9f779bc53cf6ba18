"""Logging of a service: structlog to stderr, as JSON lines for machines or text for people."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from shared import OWN_PACKAGES
from shared.service.log_events import LogEvent
from shared.service.settings import ConnectionSettings

log = structlog.get_logger()


def set_up_logs(settings: ConnectionSettings, service: str) -> None:
    """Send this process's log events, and the warnings of libraries, to stderr."""
    as_text = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    )
    shared_steps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[*shared_steps, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # One write per line, so that the lines of several workers never mix.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stderr)
    steps = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    foreign_steps: list[structlog.typing.Processor] = [
        *shared_steps,
        _with_fields,
        structlog.processors.format_exc_info,
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=steps, foreign_pre_chain=foreign_steps)
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    for package in OWN_PACKAGES:
        logging.getLogger(package).setLevel(level)
    # The SDK warns of every reconnect; our own events report those that matter.
    logging.getLogger("azure").setLevel(logging.ERROR)


def _with_fields(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Turn a LogEvent that came through `logging` into a structlog event; leave other events unchanged."""
    message = event["_record"].msg
    if isinstance(message, LogEvent):
        event.update(message.fields, event=message.name)
    return event
