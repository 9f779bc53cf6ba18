"""A file that keeps the position of a reader of predictions between runs."""

import time
from pathlib import Path

import msgspec

from shared.predictions.reader import ResumeToken
from shared.service.atomic_file import replace_file
from shared.service.errors import NeedsAttention

_INTERVAL_S = 1.0


class ResumeFileError(NeedsAttention):
    """The error for a resume file that cannot be read or written, or that holds no token."""


class ResumeFile:
    """A file that holds a ResumeToken as JSON.

    The file is replaced atomically: after a kill it holds either the old token or the new one.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._due_s = 0.0

    def load(self) -> ResumeToken | None:
        """Return the token of an earlier run, or None if there is no file.

        Raises ResumeFileError if the file cannot be read or holds no token.
        """
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=ResumeToken)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, OSError) as error:
            raise ResumeFileError(f"resume file {self._path} cannot be read: {error}") from error

    def save(self, token: ResumeToken) -> None:
        """Replace the file atomically. Raises ResumeFileError if that fails."""
        try:
            replace_file(self._path, msgspec.json.encode(token))
        except OSError as error:
            raise ResumeFileError(f"resume file {self._path} cannot be written: {error.strerror}") from error
        self._due_s = time.monotonic() + _INTERVAL_S

    def save_if_due(self, token: ResumeToken) -> None:
        """Save the token unless one was saved within the last second.

        After a kill, the predictions since the last save are read again. Raises ResumeFileError if saving
        fails.
        """
        if time.monotonic() >= self._due_s:
            self.save(token)
