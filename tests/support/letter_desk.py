"""A lake with dead letters, made by hand as ingest commits them, beside the hub that they came from."""

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from services.cli.dead_letters.__main__ import serve
from services.cli.dead_letters.settings import DeadLettersSettings
from shared.codec.body_decoder import BadLine
from shared.codec.row_buffer import DeadLetter, EventOrigin
from shared.contract.columns import READING
from shared.contract.dead_letter_id import DeadLetterId
from shared.lake.dead_letters import encode_letters
from shared.lake.parquet import encode
from shared.lake.slots.footer import Footer
from shared.lake.slots.slot import HOUR_US, ChainKey, hour_folder
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.messages import read_event
from shared.streams.event_hubs.partition_events import Gap, partition_events
from tests.support.processes import ROOT, start_python

HOUR = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000 // HOUR_US


JSON = "application/json"


INVALID = "invalid: Expected `float`, got `str`"


def body(number, **fields):
    """A reading as a vehicle sends it."""
    reading = {
        "vehicle_id": "van",
        "reading_no": number,
        "reading_at": "2026-03-01T12:00:00Z",
        "make": "Ford",
        "model": "Focus",
        "year": 2019,
    }
    return msgspec.json.encode({**reading, **fields})


BAD, GOOD = body(1, speed_kmh="fast"), body(1, speed_kmh=50.0)


@dataclass
class Desk:
    """What an operator has: the command, the lake and the hub."""

    world: object
    lake: object
    created_at: str

    async def land(self, *letters, first=0, lane=ChainKey("telemetry", 0), hour=HOUR, attempt="a", **footer):  # noqa: B008
        """Commit a file of nothing but these dead letters: (sequence number, line, body, reason).

        A dict at the end of a letter has its content encoding and properties.
        """
        path = lane.dead_letters(first, attempt)
        bad = [
            self._letter(
                lane.partition,
                *(one for one in letter if not isinstance(one, dict)),
                **(letter[-1] if isinstance(letter[-1], dict) else {}),
            )
            for letter in letters
        ]
        await self.lake.write_pieces(path, encode_letters(lane.stream, bad))
        last = max(letter[0] for letter in letters)
        said = Footer(
            **{
                "first_seq": first,
                "last_seq": last,
                "last_offset": str(last),
                "next_first": last + 1,
                "next_folder": hour_folder(hour),
                "rows": 0,
                "bad": len(bad),
                "gap": 0,
                "attempt": attempt,
                "dead_letter": path,
                "schema_version": 1,
                "created_at": self.created_at,
                **footer,
            }
        )
        await self.lake.write(lane.slot(hour, first), encode(READING.raw_schema.empty_table(), said))
        return path

    @staticmethod
    def _letter(partition, sequence, line, letter_body, reason=INVALID, content_type=JSON, **fields):
        origin = EventOrigin(partition, sequence, str(sequence), HOUR * HOUR_US + sequence)
        return DeadLetter(origin, content_type, BadLine(line, reason, letter_body), **fields)

    def settings(self, action, **values):
        return self.world.settings(DeadLettersSettings, action=action, **values)

    async def run(self, action, **values):
        """The command in this process; its exit code."""
        return await serve(self.settings(action, **values), asyncio.Event())

    async def process(self, *arguments, **settings):
        """Run the command in a process of its own, as a person types it, and return its exit code."""
        running = await self.start(*arguments, **settings)
        self.said, self.complained = (text.decode() for text in await running.communicate())
        return running.returncode

    async def start(self, *arguments, **settings):
        """Start it, and return the process."""
        named = {f"FLEETPRICE_DEAD_LETTERS_{name}".upper(): str(value) for name, value in settings.items()}
        variables = os.environ | {
            "PYTHONPATH": str(ROOT),
            "FLEETPRICE_EVENT_HUBS": self.world.hub.connection_string,
            "FLEETPRICE_STORAGE": self.world.storage.connection_string,
            "FLEETPRICE_FAILPOINTS_LOG": str(self.world.data_dir / "kills"),
            **{
                ("FLEETPRICE_FAILPOINTS" if "FAILPOINT" in name else name): value
                for name, value in named.items()
            },
        }
        pipe = asyncio.subprocess.PIPE
        command = ("-m", "services.cli", "dead-letters", *arguments)
        return await start_python(*command, environment=variables, stdout=pipe, stderr=pipe)

    async def sent(self, partition=0, hub="telemetry"):
        """What stands in the hub's partition: (dead letter, content type, body) each."""
        return [(one.replay_of, one.content_type, one.body) for one in await self.events(partition, hub)]

    async def events(self, partition=0, hub="telemetry"):
        """What stands in the hub's partition, as ingest reads it."""
        found = []
        async with consumer_client(self.world.connection(), hub, "$Default") as client:
            known = await client.get_partition_properties(str(partition))
            last = known["last_enqueued_sequence_number"]
            async for events in partition_events(client, str(partition), until=last):
                assert not isinstance(events, Gap)
                found += map(read_event, events)
        return found

    def id(self, sequence, line=0, partition=0):
        return DeadLetterId(self.created_at, partition, sequence, line)
