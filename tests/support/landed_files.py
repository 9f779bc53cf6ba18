"""Events that go through ingest's own code for one partition into files, without a lake or a loop."""

from contextlib import suppress

from services.ingest.commit import Source
from services.ingest.partition import PartitionIngest
from shared.contract.columns import READING
from shared.lake.slots.footer import Head
from shared.lake.slots.slot import HOUR_US, ChainKey
from shared.streams.event import Event
from shared.streams.handler_protocols import Start
from tests.support.ingest_model import FedPartition, NoProgress

HOUR = 497_184


class RecordingCommitter:
    """A committer that keeps the contents of every file, and commits at once."""

    def __init__(self):
        self.source = Source("telemetry", "2026-01-01T00:00:00Z", READING)
        self.chain = ChainKey("telemetry", 3)
        self.head = None
        self.files = []

    async def land(self, contents):
        self.files.append(contents)
        self.head = Head(contents.last + 1, contents.next_hour)


async def _nothing(*_arguments):
    return None


def land_events(events, policy, named, runs=None, **options):
    """Return the contents of each file that ingest makes of these events; `runs` replaces its decoder."""
    committer = RecordingCommitter()
    pipeline = PartitionIngest(committer, policy, _nothing, NoProgress(), named, clock=lambda: 0.0, **options)
    if runs is not None:
        pipeline._runs = runs

    async def run():
        await FedPartition(pipeline, Start(0)).feed(events)
        await pipeline.flush()

    with suppress(StopIteration):
        run().send(None)
    return committer.files


def build_events(bodies, later):
    """Return an event for each (body, content type, further fields of the event, if any).

    Those from number `later` on are of the next hour.
    """
    return [
        Event(
            number,
            f"@{number}",
            (HOUR + (number >= later)) * HOUR_US + number,
            content_type,
            body,
            **dict(*fields),
        )
        for number, (body, content_type, *fields) in enumerate(bodies)
    ]
