import asyncio
from types import SimpleNamespace

from prometheus_client import REGISTRY

from services.ingest.health import Health
from services.ingest.progress import StreamProgress
from shared.lake.slots.footer import Head
from shared.streams.hub_properties import PartitionBounds


class Hub:
    """A hub that answers once `may_answer` is set."""

    name = "asked"

    def __init__(self):
        self.is_asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def bounds(self, _partition):
        self.is_asked.set()
        await self.may_answer.wait()
        return PartitionBounds(0, 99)

    def count_links_opened(self, _partition):
        return 0


class Store:
    """A store that keeps nothing."""

    async def note_progress(self, *_place, **_options):
        return True


async def test_a_partition_closed_while_it_is_measured_has_no_lag():
    """A lag that the hub answers after the partition moved away is not shown: its next owner shows it."""
    hub = Hub()
    progress = StreamProgress("telemetry", hub, Store(), Health(60.0, 120.0))
    await progress.note_start(0, Head(1, 0), is_first=False)
    task = SimpleNamespace(next_expected=1, handler=SimpleNamespace(last_enqueued_us=None))
    measuring = asyncio.create_task(progress.observe({0: task}))
    await hub.is_asked.wait()
    progress.forget(0)
    hub.may_answer.set()
    await measuring
    labels = {"hub": "asked", "partition": "0"}
    assert REGISTRY.get_sample_value("fleetprice_ingest_lag_events", labels) is None
