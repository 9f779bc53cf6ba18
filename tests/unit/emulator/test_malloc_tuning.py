import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
from services.emulator.malloc_tuning import KEPT_BYTES, keep_freed_memory

keep_freed_memory()
for _ in range(20):
    pieces = [b"x" * 300_000 for _ in range(20)]
    del pieces
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    pieces = [b"x" * 300_000 for _ in range(20)]
    del pieces
assert KEPT_BYTES > 20 * 300_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other habits")
def test_freed_memory_serves_the_next_batch():
    """Large buffers reuse freed memory instead of mapping new memory each time."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    # Mapped each time, these buffers would be 300,000 pages.
    assert int(done.stdout) < 10_000
