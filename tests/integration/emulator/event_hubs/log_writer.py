"""`python log_writer.py DIR`: append to a log of tiny segments, seal and expire them, until killed.

Says after each append what a reader may have seen by then: the first and the last number.
"""

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.emulator.log.partition_log import PartitionLog
from shared.amqp import encoder as amqp

with (
    ThreadPoolExecutor(2) as pool,
    contextlib.closing(PartitionLog(Path(sys.argv[1]), segment_bytes=2000, in_background=pool.submit)) as log,
):
    while True:
        first = log.next_sequence
        bodies = [b"%d" % number for number in range(first, first + 5)]
        log.append([(b"", b"", 0, amqp.described(0x75, amqp.binary(body))) for body in bodies], first)
        state = log.state()
        sys.stdout.write(f"{state.begin_sequence_number} {state.last_sequence_number}\n")
        sys.stdout.flush()
        log.expire(first, 10**9, 8000)
