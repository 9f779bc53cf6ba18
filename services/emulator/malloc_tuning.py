"""The C library's heap: what was freed is kept for the next batch instead of being given back after each.

A batch takes and frees about a megabyte in a few large pieces. Given back and asked for again, their pages
are made anew each time, which is a seventh of what a received event costs.
"""

import ctypes

# From glibc's malloc.h; other C libraries have no such function, and other habits.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
KEPT_BYTES = 32 * 1024 * 1024
_TOP_PAD_BYTES = 4 * 1024 * 1024


def keep_freed_memory() -> None:
    """For the whole process: a decision for its entry point, not for a library."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES)
    mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(_M_TOP_PAD, _TOP_PAD_BYTES)
