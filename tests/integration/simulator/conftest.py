"""The simulator against the embedded hub; its events are read back through the unmodified SDK."""

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest

from services.emulator.event_hubs.server import EventHubsServer
from services.simulator.__main__ import serve
from services.simulator.record.recovery import decode_keys
from services.simulator.settings import SimulatorSettings
from shared.codec.body_decoder import BodyDecoder
from shared.contract.columns import READING
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.partition_events import Gap, partition_events
from tests.support.embedded_stack import PATIENCE_S

PARTITIONS = 4


@dataclass
class Sent:
    """The content of the hub: keys in order by partition, and the events."""

    keys: dict[int, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))
    events: list = field(default_factory=list)
    bad: int = 0

    @property
    def all_keys(self):
        return [key for keys in self.keys.values() for key in keys]

    def check_once_in_order(self):
        """Check that each vehicle's readings are there once, from 1 on, in order, on one partition."""
        assert len(set(self.all_keys)) == len(self.all_keys)
        next_nos, homes = defaultdict(lambda: 1), {}
        for partition, keys in self.keys.items():
            for vehicle_id, reading_no in keys:
                assert homes.setdefault(vehicle_id, partition) == partition
                assert reading_no == next_nos[vehicle_id]
                next_nos[vehicle_id] += 1


@dataclass
class Fleet:
    """A simulator on one data directory and one hub."""

    hub: EventHubsServer
    data: object

    def settings(self, **values):
        given = {"vehicles": 20, "rate_hz": 10.0, "seed": 7, "metrics_port": 0, "data": self.data}
        return SimulatorSettings(event_hubs=self.hub.connection_string, **{**given, **values})

    async def run(self, **values):
        """Run the simulator until it ends by itself."""
        await asyncio.wait_for(serve(self.settings(**values), asyncio.Event()), 60)

    @asynccontextmanager
    async def running(self, **values):
        """Run the simulator, and stop it at the end."""
        stop = asyncio.Event()
        task = asyncio.create_task(serve(self.settings(**values), stop))
        try:
            yield task
        finally:
            stop.set()
            await asyncio.wait_for(task, 10)

    def read_lines(self, partition, kind=""):
        path = self.data / "simulator" / f"{kind}p{partition:02d}.ndjson"
        return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]

    def append(self, partition, line, kind=""):
        folder = self.data / "simulator"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{kind}p{partition:02d}.ndjson").open("ab") as record:
            record.write(msgspec.json.encode(line) + b"\n")

    def acked_keys(self):
        keys = []
        for partition in range(PARTITIONS):
            intents = {}
            for line in self.read_lines(partition):
                if "intent" in line:
                    intents[line["intent"]] = [
                        (f"s{line['seed']}-v{vehicle:06d}", number) for vehicle, number in line["readings"]
                    ]
                else:
                    keys += intents.pop(line["acked"])
            assert not intents
        return keys

    async def sent(self):
        """Read the whole content of the hub."""
        sent = Sent()
        connection = HubConnection.from_settings(self.settings())
        async with consumer_client(connection, "telemetry", "$Default") as client:
            await asyncio.gather(*(self._read(client, partition, sent) for partition in range(PARTITIONS)))
        return sent

    async def _read(self, client, partition, sent):
        decoder = BodyDecoder(READING)
        last = (await client.get_partition_properties(str(partition)))["last_enqueued_sequence_number"]
        async for events in partition_events(client, str(partition), -1, last):
            assert not isinstance(events, Gap)
            for event in events:
                keys = decode_keys(decoder, event)
                sent.keys[partition] += keys
                sent.bad += not keys
                sent.events.append(event)

    async def until_recorded(self, readings):
        """Wait until `readings` are intended, all partitions together."""
        await self._until(lambda records: sum(record.count(b"],[") for record in records) >= readings)

    async def until_each_recorded(self, readings):
        """Wait until `readings` are intended in every partition."""
        await self._until(lambda records: all(record.count(b"],[") >= readings for record in records))

    async def until_all_unresolved(self):
        """Wait until every partition has a send in flight that gets no answer."""
        await self._until(lambda records: all(b"acked" not in record[-20:] for record in records))

    async def _until(self, condition):
        records = (self.data / "simulator").glob
        async with asyncio.timeout(PATIENCE_S):
            # The simulator writes files: there is nothing to await.
            while not condition([path.read_bytes() for path in records("p*.ndjson")]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.fixture
async def fleet(tmp_path):
    async with EventHubsServer(tmp_path) as hub:
        yield Fleet(hub, tmp_path)
