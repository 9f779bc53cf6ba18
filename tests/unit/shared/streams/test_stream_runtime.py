"""The runtime's decisions, with a client and a store in place of the SDK's."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from azure.eventhub import CloseReason
from structlog.testing import capture_logs

from shared.service.errors import SettingsError, SinkUnavailable, SourceUnavailable
from shared.streams.event_hubs.hub import Hub
from shared.streams.event_hubs.stream_runtime import PartitionNotOpen, RuntimeOptions, StreamRuntime
from shared.streams.handler_protocols import ReceiveLimits, Start

CONTEXT = SimpleNamespace(partition_id="0")


class Client:
    """A client that receives nothing, and keeps the callbacks."""

    eventhub_name = "telemetry"

    def __init__(self):
        self.links_opened = Counter()
        self.on_link_open = {}
        self.callbacks = asyncio.get_running_loop().create_future()

    async def get_eventhub_properties(self):
        return {"created_at": datetime(2026, 1, 1, tzinfo=UTC), "partition_ids": ["0"]}

    async def receive_events(self, on_events, **callbacks):
        self.callbacks.set_result(SimpleNamespace(on_events=on_events, **callbacks))
        await asyncio.Event().wait()

    async def close(self):
        pass


class Store:
    """A store that holds no partition."""

    resume = None

    async def wait_released(self):
        pass

    async def release(self):
        pass


class Handler:
    """A handler that cannot be closed the first time."""

    def __init__(self, failures, may_start):
        self.failures = failures
        self.may_start = may_start

    async def start(self):
        if not self.may_start.is_set():
            raise SourceUnavailable("no answer")
        return Start(0)

    async def flush(self):
        pass

    def due_in_s(self):
        return None

    def stop(self):
        pass

    async def close(self):
        if self.failures:
            raise self.failures.pop()


class Service:
    """A service that continues after every error."""

    def __init__(self):
        self.opened = []
        self.failures = [OSError("the link is gone")]
        self.may_start = {0: asyncio.Event(), 1: asyncio.Event()}
        self.may_start[0].set()

    async def limits(self):
        return ReceiveLimits(1, 1, batch_events=1, waiting_events=1, piece_bytes=1)

    async def open_partitions(self, partitions, _hub):
        self.opened += partitions
        return {partition: Handler(self.failures, self.may_start[partition]) for partition in partitions}

    async def observe(self):
        pass

    def judge_failure(self, _partition, _error):
        return None


class Fatal(Service):
    """A service that ends at the first error."""

    def __init__(self):
        super().__init__()
        self.failures.clear()

    def judge_failure(self, _partition, error):
        return error


@asynccontextmanager
async def running(service):
    """Run a stream until the end of the block; yield the runtime, its store and the SDK's callbacks."""
    client, store, stop = Client(), Store(), asyncio.Event()
    options = RuntimeOptions("telemetry", "start again", drain_timeout_s=1.0)
    runtime = StreamRuntime(service, Hub(client, "ingest"), store, options)
    task = asyncio.create_task(runtime.run(stop))
    yield runtime, store, await client.callbacks
    stop.set()
    await task


async def test_a_partition_that_fails_to_close_is_opened_again():
    """A handler that fails to close costs its own cleanup only: the next claim opens the partition."""
    service = Service()
    async with running(service) as (runtime, store, callbacks):
        await store.resume(["0"])
        with pytest.raises(OSError, match="the link is gone"):
            await callbacks.on_partition_close(CONTEXT, CloseReason.OWNERSHIP_LOST)
        assert runtime.owned == 0
        await store.resume(["0"])
        assert service.opened == [0, 0]


async def test_a_partition_whose_claim_failed_starts_from_the_sink():
    """A claim of two of which one fails opens neither: another process may own both before the next claim."""
    service = Service()
    service.failures.clear()
    async with running(service) as (runtime, store, _):
        with pytest.raises(SourceUnavailable):
            await store.resume(["0", "1"])
        assert runtime.owned == 0
        service.may_start[1].set()
        await store.resume(["0", "1"])
        assert service.opened == [0, 1, 0, 1]


async def test_a_refusal_by_the_lake_is_logged():
    """A lake that refuses our key is an error in the log, even while the service hopes that it passes."""
    async with running(Service()) as (_, _, callbacks):
        with capture_logs() as logs:
            await callbacks.on_error(CONTEXT, SettingsError("the lake refused our credentials"))
    assert [(one["event"], one["log_level"], one["reason"]) for one in logs if one["event"] == "refused"] == [
        ("refused", "error", "the lake refused our credentials")
    ]


async def test_events_of_a_closed_partition_are_no_failure_of_the_link():
    """Events that arrive after their partition was closed raise an error of their own kind."""
    async with running(Service()) as (_, _, callbacks):
        with pytest.raises(PartitionNotOpen):
            await callbacks.on_events(CONTEXT, [])


async def test_every_failure_names_its_place():
    """The log of a failure that gives up a partition names hub, partition and next sequence number."""
    service = Service()
    async with running(service) as (_, store, callbacks):
        await store.resume(["0"])
        with capture_logs() as logs:
            await callbacks.on_error(CONTEXT, SinkUnavailable("no answer"))
        service.failures.clear()
    (line,) = [one for one in logs if one["event"] == "partition_given_up"]
    assert (line["hub"], line["partition"], line["next_sequence_number"]) == ("telemetry", 0, 0)


async def test_the_end_of_a_stream_names_its_place():
    """So does the log of the failure that ends the stream."""

    async def fail():
        async with running(Fatal()) as (_, store, callbacks):
            await store.resume(["0"])
            await callbacks.on_error(CONTEXT, ZeroDivisionError())

    with capture_logs() as logs, pytest.raises(ZeroDivisionError):
        await fail()
    (line,) = [one for one in logs if one["event"] == "stream_failed"]
    assert (line["hub"], line["partition"], line["next_sequence_number"]) == ("telemetry", 0, 0)
    assert line["reason"] == "ZeroDivisionError"
