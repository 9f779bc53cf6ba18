"""Log events of code that also runs inside other people's programs: nouns with fields, through `logging`.

A process of ours renders them like its own (shared/service/logs.py). In another one the host decides what
becomes of them, as with any library: nothing is printed below warning until it says so, and no logger is set
up here.
"""

import logging


class LogEvent:
    """For handlers that know nothing of fields it reads `hub_created hub=orders partitions=4`."""

    __slots__ = ("fields", "name")

    def __init__(self, name: str, fields: dict[str, object]) -> None:
        self.name = name
        self.fields = fields

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{field}={value}" for field, value in self.fields.items())])


class EventLog:
    def __init__(self, logger: str) -> None:
        self._logger = logging.getLogger(logger)

    def debug(self, event: str, **fields: object) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write(logging.WARNING, event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """An error, with the traceback of the exception being handled."""
        self._write(logging.ERROR, event, fields, exc_info=True)

    def _write(self, level: int, event: str, fields: dict[str, object], *, exc_info: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, LogEvent(event, fields), exc_info=exc_info, stacklevel=3)
