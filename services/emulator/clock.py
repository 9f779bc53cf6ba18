"""The clock that the emulator stamps with: the machine's, set ahead or back on request."""

import time
from collections.abc import Callable


class Clock:
    """Seconds since 1970. Signatures and tokens are held against the machine's own clock all the same."""

    def __init__(self, machine: Callable[[], float] = time.time) -> None:
        self.machine = machine
        self.offset_s = 0.0

    def __call__(self) -> float:
        return self.machine() + self.offset_s
