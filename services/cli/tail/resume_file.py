"""A file that keeps how far a tail of predictions has got, from one run to the next."""

import os
import time
from pathlib import Path

import msgspec

from shared.predictions.reader import ResumeToken
from shared.service.errors import NeedsAttention

_INTERVAL_S = 1.0


class ResumeFile:
    """Holds a ResumeToken as JSON; replaced whole, at most once a second while it is `kept` only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._due_s = 0.0

    def token(self) -> ResumeToken | None:
        """What an earlier run left; None where there was none. Raises NeedsAttention where it is no token."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=ResumeToken)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, OSError) as error:
            raise NeedsAttention(f"--resume {self._path} cannot be read: {error}") from error

    def keep(self, token: ResumeToken) -> None:
        """Write it if a second has passed: what a kill loses is shown once more."""
        if time.monotonic() >= self._due_s:
            self.write(token)
            self._due_s = time.monotonic() + _INTERVAL_S

    def write(self, token: ResumeToken) -> None:
        """Raises NeedsAttention where it cannot be written."""
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            beside.write_bytes(msgspec.json.encode(token))
            beside.replace(self._path)
        except OSError as error:
            raise NeedsAttention(f"--resume {self._path} cannot be written: {error.strerror}") from error
