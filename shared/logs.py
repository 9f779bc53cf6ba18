"""Logs: structlog to stderr, noun events, JSON lines for machines and text for people."""

import logging
import sys

import structlog

from shared.settings import WorldSettings

log = structlog.get_logger()


def set_up_logs(settings: WorldSettings, service: str) -> None:
    """Send this process's log events, and warnings of the libraries, to stderr."""
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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stderr)
    steps = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=steps, foreign_pre_chain=shared_steps)
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    # The SDK warns of every reconnect on its own; ours say what it means.
    logging.getLogger("azure").setLevel(logging.ERROR)
