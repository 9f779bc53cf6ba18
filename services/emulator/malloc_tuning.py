"""Tuning of glibc's malloc, to keep freed memory for the next batch instead of returning it to the system.

A batch allocates and frees about a megabyte in a few large pieces. If these were returned each time, the
system would map their pages again, which is a seventh of the cost of a received event.
"""

import ctypes

# From glibc's malloc.h; other C libraries lack mallopt.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
KEPT_BYTES = 32 * 1024 * 1024
_TOP_PAD_BYTES = 4 * 1024 * 1024


def keep_freed_memory() -> None:
    """Tune malloc for the whole process. Only a program's entry point may call this, not a library."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES)
    mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(_M_TOP_PAD, _TOP_PAD_BYTES)
