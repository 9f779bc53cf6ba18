"""Talk nonsense to a running hub for a while: `python -m services.emulator.fuzz.amqp --seconds 60 --seed 1`.

The hub is a process of its own. Now and then an honest client sends an event and has to be answered. In the
end the hub is alive and has logged no failure, has closed what was closed, has not grown, ends when it is
told to, and all that it took from anybody is whole in the log and read by the SDK's decoder.
The seed is printed first: with the same one the same is said.
"""

import argparse
import asyncio
import contextlib
import decimal
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import psutil
from azure.eventhub import EventData
from azure.eventhub._pyamqp._decode import decode_payload
from azure.eventhub.aio import EventHubProducerClient

from services.emulator.fuzz.conversations import HUB, Talker
from services.emulator.log.partition_log import PartitionLog
from services.emulator.log.records import HEADER_BYTES, scan_records

TALKERS = 8
PARTITIONS = 4
MAX_GROWTH_BYTES = 64 << 20
# What an honest client waits for, on a machine with other things to do.
PATIENCE_S = 30.0
HONEST_INTERVAL_S = 2.0
# pyamqp does not step over the type of an empty array's items.
_EMPTY_ARRAYS = (b"\xf0\x00\x00\x00\x05\x00\x00\x00\x00", b"\xe0\x02\x00")


class Unsound(Exception):
    """What the hub must not do."""


class Hub:
    """The process that is talked to."""

    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, str], log: Path) -> None:
        self.process = process
        self.connection_string = ready["event_hubs"]
        self.port = int(self.connection_string.split(";")[0].rpartition(":")[2])
        self._log = log
        self._system = psutil.Process(process.pid)

    def look(self) -> tuple[int, int]:
        """(bytes resident, open files)."""
        return self._system.memory_info().rss, self._system.num_fds()

    async def hear(self, pieces: list[bytes], *, abruptly: bool) -> None:
        """One connection: say it all, hear what comes, hang up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                if not abruptly:
                    writer.write_eof()
                    await reader.read()
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def serve(self, partitions: int = 1) -> None:
        """An honest client is answered. Raises whatever it meets."""
        producer = EventHubProducerClient.from_connection_string(
            self.connection_string, eventhub_name=HUB, retry_total=0
        )
        async with asyncio.timeout(PATIENCE_S), producer:
            for partition in range(partitions):
                await producer.send_batch([EventData(b"still there")], partition_id=str(partition))

    def check_log(self) -> None:
        text = self._log.read_text()
        if "Traceback" in text or self.process.returncode is not None:
            raise Unsound(f"the hub failed:\n{text[-4000:]}")


async def fuzz(seconds: float, seed: int, data: Path) -> dict[str, int]:
    """Talk for so long; what was said and taken. Raises Unsound."""
    hub = await started(data)
    try:
        await hub.serve(PARTITIONS)
        before = hub.look()
        talkers = [Talker(seed * TALKERS + number) for number in range(TALKERS)]
        until = time.monotonic() + seconds
        said = await asyncio.gather(*(talk(hub, talker, until) for talker in talkers), honesty(hub, until))
        await settled(hub, before)
        hub.process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            if await hub.process.wait():
                raise Unsound("the hub did not end cleanly")
    finally:
        with contextlib.suppress(ProcessLookupError):
            hub.process.kill()
        await hub.process.wait()
    taken = sum(readable(data / "event_hubs" / HUB / str(partition)) for partition in range(PARTITIONS))
    return {"conversations": sum(said[:-1]), "honest_rounds": said[-1], "events_taken": taken}


async def started(data: Path) -> Hub:
    log = data.with_name("hub.log")
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "services.emulator", "--json", "--port-base", "0", "--data", str(data)],
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    return Hub(process, json.loads(await process.stdout.readline()), log)


async def talk(hub: Hub, talker: Talker, until: float) -> int:
    said = 0
    while time.monotonic() < until:
        await hub.hear(talker.conversation(), abruptly=talker.random.random() < 0.3)
        said += 1
    return said


async def honesty(hub: Hub, until: float) -> int:
    served = 0
    while time.monotonic() < until:
        await hub.serve()
        hub.check_log()
        served += 1
        await asyncio.sleep(HONEST_INTERVAL_S)
    return served


async def settled(hub: Hub, before: tuple[int, int]) -> None:
    """Everything is closed again, and nothing has grown. Raises Unsound."""
    await hub.serve()
    hub.check_log()
    deadline = time.monotonic() + PATIENCE_S
    # A few of the log's own may have been opened meanwhile.
    while hub.look()[1] > before[1] + PARTITIONS:
        if time.monotonic() > deadline:
            raise Unsound(f"{hub.look()[1]} files are open, {before[1]} were before")
        await asyncio.sleep(0.1)
    grown = hub.look()[0] - before[0]
    if grown > MAX_GROWTH_BYTES:
        raise Unsound(f"the hub has grown by {grown} bytes")


def readable(directory: Path) -> int:
    """How many events the log holds, each whole and read by the SDK's decoder. Raises Unsound."""
    log, count = PartitionLog(directory), 0
    offset = log.begin_offset
    while chunk := log.read(offset, 1 << 20):
        found = list(scan_records(chunk.data))
        if not found:
            raise Unsound(f"the log of {directory} is damaged at {chunk.offset}")
        for mark in found:
            decoded(chunk.data[mark.position + HEADER_BYTES : mark.end])
        count += len(found)
        offset = chunk.offset + found[-1].end
    state = log.state()
    if count != state.last_sequence_number + 1 - state.begin_sequence_number:
        raise Unsound(f"{directory} holds {count} events, not those up to {state.last_sequence_number}")
    log.close()
    return count


def decoded(event: bytes) -> None:
    """Raises what the SDK raises, but for the AMQP that it does not know."""
    if any(array in event for array in _EMPTY_ARRAYS):
        return
    try:
        decode_payload(memoryview(event))
    except decimal.DecimalException:
        return
    except TypeError as exc:
        if "'NoneType' object is not callable" not in str(exc):
            raise Unsound(f"{event!r} stops the SDK: {exc}") from exc


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    sys.stdout.write(f"seed {arguments.seed}\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            counts = asyncio.run(fuzz(arguments.seconds, arguments.seed, Path(scratch) / "data"))
        except Unsound as exc:
            sys.stderr.write(f"{exc}\nagain with --seed {arguments.seed}\n")
            return 1
    sys.stdout.write(json.dumps(counts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
