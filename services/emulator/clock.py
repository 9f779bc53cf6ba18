"""The emulator's clock: the machine's time plus an offset that tests can set."""

import time
from collections.abc import Callable


class Clock:
    """A clock in seconds since 1970, with the offset. `machine` is the clock without the offset.

    Signatures and tokens are checked against `machine`.
    """

    def __init__(self, machine: Callable[[], float] = time.time) -> None:
        self.machine = machine
        self.offset_s = 0.0

    def __call__(self) -> float:
        return self.machine() + self.offset_s
