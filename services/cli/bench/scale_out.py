"""The time that partitions take to move when ingest and scorer processes join or are killed under load.

`python -m services.cli.bench.scale_out` starts `fleetprice up`, adds a second and a third process of each
service, kills the second ones with SIGKILL, and lets `up` drain and verify at its end. The last line of the
output is one JSON object. The exit code is 1 if a reading was lost or doubled, or if partitions took longer
than --limit to move.

A process that joins takes one partition each time it balances (`--interval`). The partitions of a killed
process become free once its claims have expired (`--expiry`); the next process that balances takes them.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from azure.eventhub import parse_connection_string

from services.cli.bench.measured_process import MeasuredProcess
from shared.streams.event_hubs.checkpoint_store import ResumingCheckpointStore, checkpoint_store
from shared.streams.event_hubs.connection import CheckpointConnection

# The hub and the consumer group of each service.
_READERS = {"ingest": ("telemetry", "ingest"), "scorer": ("telemetry", "scorer")}
_PARTITIONS = 4
_SETTLE_S, _LOOK_S, _GIVE_UP_S = 5.0, 0.1, 60.0

Owners = Mapping[str, str]  # partition → owner, of claims that have not expired
Moves = dict[str, dict[str, float]]


class Claims:
    """The owners of partitions, according to the blobs in the checkpoint container."""

    def __init__(self, store: ResumingCheckpointStore, namespace: str, expiry_s: float) -> None:
        self._store = store
        self._namespace = namespace
        self._expiry_s = expiry_s

    async def read(self, service: str) -> Owners:
        """Return the unexpired claims of one service: the owner of each partition."""
        claims = await self._store.list_ownership(self._namespace, *_READERS[service])
        fresh_s = time.time() - self._expiry_s
        return {
            claim["partition_id"]: claim["owner_id"]
            for claim in claims
            if claim["owner_id"] and claim["last_modified_time"] > fresh_s
        }

    async def wait_until(self, condition: Callable[[Owners], bool]) -> dict[str, float]:
        """Wait until the claims of every service meet the condition.

        Return the seconds that it took, by service. Raises TimeoutError if it takes longer than 60 s.
        """
        took_s: dict[str, float] = {}
        started_s = time.monotonic()
        async with asyncio.timeout(_GIVE_UP_S):
            while len(took_s) < len(_READERS):
                for service in _READERS.keys() - took_s.keys():
                    if condition(await self.read(service)):
                        took_s[service] = round(time.monotonic() - started_s, 1)
                await asyncio.sleep(_LOOK_S)
        return took_s


def are_shared_by(processes: int) -> Callable[[Owners], bool]:
    """Return a check that all partitions are owned, and shared evenly by `processes` processes."""

    def condition(owners: Owners) -> bool:
        shares = Counter(owners.values()).values()
        return len(owners) == _PARTITIONS and len(shares) == processes and max(shares) - min(shares) <= 1

    return condition


async def measure_moves(
    stack: AsyncExitStack, claims: Claims, environment: Mapping[str, str], folder: Path
) -> Moves:
    """Let processes join, then kill the second process of each service.

    Return, by change and service, the seconds until the partitions were shared evenly again.
    """

    async def join(number: int) -> list[MeasuredProcess]:
        programs = [
            MeasuredProcess(f"services.{service}", [], environment, folder / f"{service}-{number}.log")
            for service in _READERS
        ]
        return [await stack.enter_async_context(program) for program in programs]

    await claims.wait_until(are_shared_by(1))
    second = await join(2)
    moved_s = {"second": await claims.wait_until(are_shared_by(2))}
    await join(3)
    moved_s["third"] = await claims.wait_until(are_shared_by(3))
    await asyncio.sleep(_SETTLE_S)
    for program in second:
        program.send(signal.SIGKILL)
    # Until they expire, the claims of killed processes look like any other's.
    moved_s["killed"] = await claims.wait_until(are_shared_by(2))
    return moved_s


async def run_scale_out(seconds: float, rate: int, interval_s: float, expiry_s: float) -> dict[str, Any]:
    """Run the whole benchmark. Return the verdict of `fleetprice up` and the time of each move."""
    times = {
        "FLEETPRICE_BALANCING_INTERVAL_S": str(interval_s),
        "FLEETPRICE_OWNERSHIP_EXPIRY_S": str(expiry_s),
    }
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleetprice-scale-out-")))
        arguments = f"up --data {folder / 'data'} --json --port-base 0 --vehicles {rate} --seconds {seconds}"
        up = await stack.enter_async_context(
            MeasuredProcess("services.cli", arguments.split(), times, folder / "up.log")
        )
        ready = await up.read_event("ready")
        store = checkpoint_store(CheckpointConnection(ready["storage"]))
        store.claim_expiry_s = expiry_s
        await stack.enter_async_context(store)
        namespace = parse_connection_string(ready["event_hubs"]).fully_qualified_namespace
        environment = {
            **times,
            "FLEETPRICE_EVENT_HUBS": ready["event_hubs"],
            "FLEETPRICE_STORAGE": ready["storage"],
            "FLEETPRICE_SCORER_HTTP_PORT": "0",
        }
        moved_s = await measure_moves(stack, Claims(store, namespace, expiry_s), environment, folder)
        verdict = await up.read_event("verify")
    return {"moved_s": moved_s, **verdict, "interval_s": interval_s, "expiry_s": expiry_s}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m services.cli.bench.scale_out", description=__doc__)
    parser.add_argument("--seconds", type=float, default=75.0, help="how long the fleet sends")
    parser.add_argument("--rate", type=int, default=500, help="readings a second")
    parser.add_argument("--interval", type=float, default=2.0, help="FLEETPRICE_BALANCING_INTERVAL_S")
    parser.add_argument("--expiry", type=float, default=8.0, help="FLEETPRICE_OWNERSHIP_EXPIRY_S")
    parser.add_argument(
        "--limit", type=float, default=15.0, help="maximum time that partitions may take to move, s"
    )
    flags = parser.parse_args()
    found = asyncio.run(run_scale_out(flags.seconds, flags.rate, flags.interval, flags.expiry))
    print(json.dumps(found))
    slowest_s = max(took_s for moves in found["moved_s"].values() for took_s in moves.values())
    wrong = sum(count for name, count in found.items() if name.endswith(("missing", "doubled")))
    return int(wrong > 0 or slowest_s > flags.limit)


if __name__ == "__main__":
    sys.exit(main())
