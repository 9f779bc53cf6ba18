"""Log events of code that also runs inside users' programs: named events with fields, sent to `logging`.

A process of this project renders them like its other events (see shared/service/logs.py). In a user's program
the user configures `logging`, as for any library: by default nothing below warning is printed, and this
module installs no handler.
"""

import logging


class LogEvent:
    """A named event with fields; as text it reads `hub_created hub=orders partitions=4`."""

    __slots__ = ("fields", "name")

    def __init__(self, name: str, fields: dict[str, object]) -> None:
        self.name = name
        self.fields = fields

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{field}={value}" for field, value in self.fields.items())])


class EventLog:
    """A logger of events with fields."""

    def __init__(self, logger: str) -> None:
        self._logger = logging.getLogger(logger)

    def debug(self, event: str, **fields: object) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write(logging.WARNING, event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Log an error with the traceback of the exception being handled."""
        self._write(logging.ERROR, event, fields, exc_info=True)

    def _write(self, level: int, event: str, fields: dict[str, object], *, exc_info: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, LogEvent(event, fields), exc_info=exc_info, stacklevel=3)
