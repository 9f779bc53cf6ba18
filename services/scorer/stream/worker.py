"""One task per partition publishes its predictions, one send at a time.

The receive callback only hands over. So what arrives while a send is on its way makes the next batch larger,
and neither a callback that the SDK cancels nor a slow hub cuts a send short.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Histogram

from services.scorer.stream.pipeline import Output, PartitionPipeline
from shared.pricing.version_cache import VersionCache
from shared.service import failpoints
from shared.service.errors import GapUnexplained
from shared.service.tasks import cancel_until_done
from shared.streams.event import Event
from shared.streams.event_hubs.sender import PartitionSender

PREDICTIONS_SENT = Counter(
    "fleetprice_scorer_sent_predictions_total", "Predictions that the hub has accepted"
)
SOURCE_TO_PUBLISH = Histogram(
    "fleetprice_scorer_source_to_publish_seconds",
    "From the oldest reading of an output event enqueued to the event accepted by the predictions hub",
    buckets=(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
)

# Bodies decoded at one go: more would hold memory without making the model faster.
_PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Progress:
    """The last event of which every reading is priced and published."""

    sequence: int
    offset: str


class PartitionWorker:
    """Starts working at once; `fail` is told of whatever ends it before it is closed."""

    def __init__(
        self,
        pipeline: PartitionPipeline,
        sender: PartitionSender,
        max_waiting: int,
        former: VersionCache,
        fail: Callable[[BaseException], None],
    ) -> None:
        """`max_waiting` bounds the events handed over and not yet begun."""
        self._former = former
        self.published: Progress | None = None
        self._pipeline = pipeline
        self._sender = sender
        self._max_waiting = max_waiting
        self._fail = fail
        self._waiting: list[Event] = []
        self._has_work, self._has_room = asyncio.Event(), asyncio.Event()
        self._is_closing = False
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._report)

    @property
    def next_expected(self) -> int:
        return self._pipeline.next_expected

    async def take(self, events: Sequence[Event]) -> None:
        """Hand over what was received; waits while too much is waiting already.

        Raises GapUnexplained where the link must be reopened; what came before the gap is handed over.
        """
        fresh, skip = self._pipeline.judge(events)
        if fresh:
            self._waiting += fresh
            self._has_work.set()
        if skip is not None:
            raise GapUnexplained(f"expected event {self.next_expected}, the link brought {skip}")
        if len(self._waiting) >= self._max_waiting:
            self._has_room.clear()
            await self._has_room.wait()

    async def close(self, within_s: float) -> None:
        """Finish the send under way and no more: the next owner goes on from there. Raises nothing."""
        self._is_closing = True
        self._has_work.set()
        await asyncio.wait([self._task], timeout=within_s)
        await cancel_until_done(self._task)

    async def _run(self) -> None:
        while not self._is_closing:
            await self._has_work.wait()
            self._has_work.clear()
            events, self._waiting = self._waiting, []
            self._has_room.set()
            for piece in _pieces(events):
                version = self._pipeline.begun_by(piece)
                begun = None if version is None else await self._former.pricer(version)
                for output in self._pipeline.outputs(piece, begun):
                    if self._is_closing:
                        return
                    await self._publish(output)
                self.published = Progress(piece[-1].sequence_number, piece[-1].offset)

    async def _publish(self, output: Output) -> None:
        # A crash before the hub accepts costs nothing and after it nothing: the next start reads from the
        # output partition's tail what is there. In between, the sender looks before it sends again.
        await self._sender.send([output.event])
        failpoints.reach("scorer_sent")
        PREDICTIONS_SENT.inc(output.rows)
        SOURCE_TO_PUBLISH.observe(time.time() - output.oldest_enqueued_us / 1e6)

    def _report(self, task: asyncio.Task[None]) -> None:
        self._has_room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)


def _pieces(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    start = size_bytes = 0
    for index, event in enumerate(events, start=1):
        size_bytes += len(event.body)
        if size_bytes >= _PIECE_BYTES or index == len(events):
            yield events[start:index]
            start, size_bytes = index, 0
