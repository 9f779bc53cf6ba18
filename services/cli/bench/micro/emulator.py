"""The embedded Event Hubs with a bare client, beside the SDK as a client in the same run.

Each figure has two lines: events per second by the clock, on two cores, and events per second of the
emulator's processor time. The second does not depend on other load on the machine.
"""

import asyncio
import tempfile
from pathlib import Path

from services.cli.bench.micro.figures import Figure
from services.cli.bench.micro.hub_process import HubProcess, Run, run_hub

ROUNDS, EVENTS, SDK_EVENTS = 3, 400_000, 60_000
HUB = "telemetry"


def figures() -> list[Figure]:
    best = asyncio.run(_measure())
    return [
        figure
        for name, floor in (
            ("emulator_in", "sdk_send"),
            ("emulator_in_keyed", "sdk_send"),
            ("emulator_out", "sdk_receive"),
        )
        for figure in _compare(name, best[name], best[floor])
    ]


async def _measure() -> dict[str, Run]:
    """Return the fastest run of each client over all rounds."""
    best: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as directory:
        async with run_hub(Path(directory) / "data") as hub:
            for _ in range(ROUNDS):
                for name, run in (await _run_round(hub)).items():
                    best[name] = min(best.get(name, run), run, key=lambda one: one.took_s / one.events)
    return best


async def _run_round(hub: HubProcess) -> dict[str, Run]:
    async def send(partition: int, **options: object) -> Run:
        address = f"{HUB}/Partitions/{partition}"
        return await hub.run_client(
            "raw_client", "send", port=hub.port, address=address, events=EVENTS, **options
        )

    source = f"{HUB}/ConsumerGroups/$Default/Partitions/0"
    sdk = {"connection": hub.connection, "hub": HUB, "partition": 2, "events": SDK_EVENTS}
    return {
        "emulator_in": await send(0),
        "emulator_in_keyed": await send(1, keyed=True),
        "emulator_out": await hub.run_client(
            "raw_client", "receive", port=hub.port, address=source, events=EVENTS
        ),
        "sdk_send": await hub.run_client("sdk_client", "send", **sdk),
        "sdk_receive": await hub.run_client("sdk_client", "receive", **sdk),
    }


def _compare(name: str, ours: Run, floor: Run) -> list[Figure]:
    cpu_unit = f"events/s of its own CPU ({ours.hub_us:.2f} µs an event; from the SDK {floor.hub_us:.2f})"
    return [
        Figure(name, ours.rate, floor.rate, "events/s, the SDK's as floor", cores=2),
        Figure(f"{name}_cpu", 1e6 / ours.hub_us, 1e6 / floor.hub_us, cpu_unit),
    ]
