"""Send nonsense to a running hub for a while: `python -m services.emulator.fuzz.amqp --seconds 60 --seed 1`.

The hub runs in a process of its own. At intervals, an honest client sends an event and must be answered. At
the end, the hub must be alive, have logged no failure, have closed all connections, have grown in memory by
no more than a fixed limit, and end on a signal. Every accepted event must be undamaged in the log and
decodable by the SDK.

The seed is printed first; the same seed repeats the run.
"""

import argparse
import asyncio
import contextlib
import decimal
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import psutil
from azure.eventhub import EventData
from azure.eventhub._pyamqp._decode import decode_payload
from azure.eventhub.aio import EventHubProducerClient

from services.emulator.fuzz.conversations import HUB, FuzzClient
from services.emulator.log.partition_log import PartitionLog
from shared.service.processes.process import Process, Program

CLIENTS = 8
PARTITIONS = 4
MAX_GROWTH_BYTES = 64 << 20
# How long an honest client waits, on a busy machine.
PATIENCE_S = 30.0
HONEST_INTERVAL_S = 2.0
# pyamqp (5.15.1) does not skip the type of an empty array's items.
_EMPTY_ARRAYS = (b"\xf0\x00\x00\x00\x05\x00\x00\x00\x00", b"\xe0\x02\x00")


class Unsound(Exception):
    """The hub has misbehaved; the error's message says how."""


class Hub:
    """A hub that runs in a process of its own."""

    def __init__(self, process: Process, ready: dict[str, str], log: Path) -> None:
        self.process = process
        self.connection_string = ready["event_hubs"]
        self.port = int(self.connection_string.split(";")[0].rpartition(":")[2])
        self._log = log
        self._system = psutil.Process(process.pid)

    def measure(self) -> tuple[int, int]:
        """Return the hub's resident memory in bytes and its number of open file descriptors."""
        return self._system.memory_info().rss, self._system.num_fds()

    async def send(self, pieces: list[bytes], *, abruptly: bool) -> None:
        """Send all pieces over one connection, read the answers, and close it."""
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

    async def check_serving(self, partitions: int = 1) -> None:
        """Send an event to each partition as an honest client.

        Raises the client's errors if sending fails.
        """
        producer = EventHubProducerClient.from_connection_string(
            self.connection_string, eventhub_name=HUB, retry_total=0
        )
        async with asyncio.timeout(PATIENCE_S), producer:
            for partition in range(partitions):
                await producer.send_batch([EventData(b"still there")], partition_id=str(partition))

    def check_log(self) -> None:
        text = self._log.read_text()
        if "Traceback" in text or self.process.exit_code is not None:
            raise Unsound(f"the hub failed:\n{text[-4000:]}")


async def fuzz(seconds: float, seed: int, data: Path) -> dict[str, int]:
    """Fuzz the hub and return counts of what was sent and accepted. Raises Unsound if the hub misbehaves."""
    hub = await start_hub(data)
    try:
        await hub.check_serving(PARTITIONS)
        before = hub.measure()
        clients = [FuzzClient(seed * CLIENTS + number) for number in range(CLIENTS)]
        until = time.monotonic() + seconds
        said = await asyncio.gather(
            *(run_client(hub, client, until) for client in clients), serve_honest_client(hub, until)
        )
        await check_settled(hub, before)
        if not await hub.process.stop(PATIENCE_S) or hub.process.exit_code:
            raise Unsound("the hub did not end cleanly")
    finally:
        hub.process.kill()
        await hub.process.wait()
    logs = [data / "event_hubs" / HUB / str(partition) for partition in range(PARTITIONS)]
    taken = sum(count_readable(log) for log in logs)
    return {"conversations": sum(said[:-1]), "honest_rounds": said[-1], "events_taken": taken}


async def start_hub(data: Path) -> Hub:
    log = data.with_name("hub.log")
    flags = ("--json", "--port-base", "0", "--data", str(data))
    program = Program("hub", "services.emulator", os.environ, log, flags, pipes_stdout=True)
    process = await Process.start(program)
    return Hub(process, await process.read_event("ready"), log)


async def run_client(hub: Hub, client: FuzzClient, until: float) -> int:
    said = 0
    while time.monotonic() < until:
        await hub.send(client.make_conversation(), abruptly=client.random.random() < 0.3)
        said += 1
    return said


async def serve_honest_client(hub: Hub, until: float) -> int:
    served = 0
    while time.monotonic() < until:
        await hub.check_serving()
        hub.check_log()
        served += 1
        await asyncio.sleep(HONEST_INTERVAL_S)
    return served


async def check_settled(hub: Hub, before: tuple[int, int]) -> None:
    """Check that all connections are closed and that memory has grown by no more than MAX_GROWTH_BYTES.

    Raises Unsound if one of these is not so.
    """
    await hub.check_serving()
    hub.check_log()
    deadline = time.monotonic() + PATIENCE_S
    # The log may have opened a few files of its own meanwhile.
    while hub.measure()[1] > before[1] + PARTITIONS:
        if time.monotonic() > deadline:
            raise Unsound(f"{hub.measure()[1]} files are open, {before[1]} were before")
        await asyncio.sleep(0.1)
    grown = hub.measure()[0] - before[0]
    if grown > MAX_GROWTH_BYTES:
        raise Unsound(f"the hub has grown by {grown} bytes")


def count_readable(directory: Path) -> int:
    """Count the events of the log, checking that each is undamaged and can be decoded by the SDK.

    Raises Unsound if an event is damaged or missing, or an error of `check_decodable` if the SDK fails to
    decode one.
    """
    log, count = PartitionLog(directory), 0
    for record in log.records():
        check_decodable(record.message)
        count += 1
    if log.damaged_events:
        raise Unsound(f"the log of {directory} has {log.damaged_events} damaged events")
    state = log.state()
    if count != state.last_sequence_number + 1 - state.begin_sequence_number:
        raise Unsound(f"{directory} holds {count} events, not those up to {state.last_sequence_number}")
    log.close()
    return count


def check_decodable(event: bytes) -> None:
    """Decode an event with the SDK, unless it holds valid AMQP that the SDK cannot decode.

    Raises Unsound or the SDK's error if the SDK fails for another reason.
    """
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
