"""A world in which the real code of partition, commit and chain runs stepwise, in an order picked by a seed.

No event loop: every call on the lake is a step, and the schedule says whose step is next. Between two steps a
writer may be stopped for long, or die. An answer may be lost before or after the effect, or the effect may
come late, after its caller has given up.
"""

import random
import types
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from services.ingest.commit import Committer, Overtaken, Source
from services.ingest.open_file import RollPolicy
from services.ingest.partition import PartitionIngest
from services.ingest.staging_sweep import sweep
from shared.contract.columns import contract_from_record
from shared.lake.client import LakeFile
from shared.lake.slots.chain import find_heads
from shared.lake.slots.root import find_chains
from shared.lake.slots.slot import HOUR_US
from shared.service.errors import GapUnexplained, SinkUnavailable
from shared.streams.event import Event
from shared.streams.hub_properties import PartitionBounds
from shared.streams.sequenced_feed import SequencedFeed

STREAM, CREATED_AT = "ticks", "2026-01-01T00:00:00Z"
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Tick(msgspec.Struct, frozen=True):
    """The smallest record."""

    number: int


CONTRACT = contract_from_record(Tick, 1)
_POLICY = RollPolicy(max_rows=5, max_bytes=10**6, max_age_s=60.0)


@types.coroutine
def step():
    """Let the schedule decide who is next."""
    yield


class NoProgress:
    """Progress that is not recorded."""

    async def note_start(self, _partition, _head, *, is_first):
        pass

    async def note_commit(self, _partition, _head):
        pass

    def forget(self, _partition):
        pass


class FedPartition:
    """A partition fed as by the runtime, without a task of its own."""

    def __init__(self, handler, start, skipped_at=None):
        self._feed = SequencedFeed(handler, "ticks", start, skipped_at)
        self.flush = handler.flush

    @property
    def next_expected(self):
        return self._feed.next_expected

    async def feed(self, events):
        if events:
            await self._feed.feed(events)


class ModelLake:
    """A lake in memory that loses answers."""

    def __init__(self, rng):
        self.files = {}
        self.late = []
        self.fault_rate = 0.0
        self._rng = rng

    async def write(self, path, data):
        await self._do(lambda: self.files.__setitem__(path, data))

    async def write_pieces(self, path, pieces):
        await self.write(path, b"".join([piece async for piece in pieces]))

    async def create_if_absent(self, path, data):
        return await self._do(lambda: self._create(path, data))

    async def rename_if_absent(self, source, target):
        return await self._do(lambda: self._rename(source, target), can_be_late=True)

    async def make_directory(self, _path):
        await self._do(lambda: None)

    async def read(self, path):
        return await self._do(lambda: self.files.get(path))

    async def read_tail(self, path, size_bytes):
        return await self._do(lambda: self.files[path][-size_bytes:] if path in self.files else None)

    async def delete(self, path):
        await self._do(lambda: self.files.pop(path, None))

    async def list(self, prefix, *, recursive=True, directories=False):
        found = await self._do(lambda: self._list(prefix, recursive=recursive))
        for path, is_directory in found:
            if directories or not is_directory:
                yield LakeFile(path, 1, _LONG_AGO, is_directory)

    async def _do(self, effect, *, can_be_late=False):
        await step()
        dice = self._rng.random()
        if dice > self.fault_rate:
            return effect()
        if dice < self.fault_rate / 3 and can_be_late:
            self.late.append(effect)
        elif dice < self.fault_rate * 2 / 3:
            effect()
        await step()
        raise SinkUnavailable("no answer")

    def arrive_late(self):
        """Apply an effect after its caller has given up."""
        with suppress(SinkUnavailable):  # no caller waits for the answer
            self.late.pop(self._rng.randrange(len(self.late)))()

    def _create(self, path, data):
        return path not in self.files and self.files.update({path: data}) is None

    def _rename(self, source, target):
        if source not in self.files:
            raise SinkUnavailable("SourcePathNotFound")
        if target in self.files:
            return False
        self.files[target] = self.files.pop(source)
        return True

    def _list(self, prefix, *, recursive):
        inside = [path for path in self.files if path.startswith(f"{prefix}/")]
        if recursive:
            return [(path, False) for path in inside]
        names = {path[len(prefix) + 1 :].split("/")[0]: path for path in inside}
        return [(f"{prefix}/{name}", path != f"{prefix}/{name}") for name, path in sorted(names.items())]


class ModelHub:
    """One partition's log: it grows, its clock turns hours and now and then goes back, retention eats it."""

    def __init__(self, rng):
        self._rng = rng
        self.oldest = 0
        self.events = []
        self._clock_us = 500_000 * HOUR_US

    def append(self, count):
        for _ in range(count):
            self._clock_us += self._rng.choice([1, 1, 1, 1, 1, 1, HOUR_US // 2, -HOUR_US // 3, 5 * HOUR_US])
            number = len(self.events)
            is_bad = self._rng.random() < 0.1
            body = b"?" if is_bad else msgspec.json.encode(Tick(number))
            self.events.append(Event(number, str(number * 10), self._clock_us, None, body))

    def expire(self):
        self.oldest = self._rng.randint(self.oldest, len(self.events))

    def read(self, position, count):
        return self.events[max(position, self.oldest) : max(position, self.oldest) + count]


@dataclass
class World:
    """A seeded world with several independent writers."""

    seed: int
    committer: type[Committer] = Committer
    writers: int = 3
    rng: random.Random = field(init=False)

    def __post_init__(self):
        self.rng = random.Random(self.seed)
        self.lake, self.hub = ModelLake(self.rng), ModelHub(self.rng)
        self._attempts = 0

    def run(self, actions=80):
        """Run steps, deaths and faults in random order; in the end one writer catches up without faults."""
        self.lake.fault_rate = self.rng.choice([0.0, 0.02, 0.1])
        running = [self.writer() for _ in range(self.writers)]
        for _ in range(actions):
            dice = self.rng.random()
            if dice < 0.2:
                self.hub.append(self.rng.randint(1, 12))
            elif dice < 0.23:
                self.hub.expire()
            elif dice < 0.30:
                victim = self.rng.randrange(self.writers)
                running[victim].close()
                running[victim] = self.writer()
            elif dice < 0.33 and self.lake.late:
                self.lake.arrive_late()
            else:
                self._let_run(running[self.rng.randrange(self.writers)], self.rng.randint(1, 25))
        self._catch_up()
        for one in running:
            one.close()

    def _let_run(self, writer, steps):
        for _ in range(steps):
            writer.send(None)

    def _catch_up(self):
        self.lake.fault_rate = 0.0
        self.hub.append(1)  # a gap shows at the next event, and a partition may have been emptied
        last = self.writer(is_last=True)
        try:
            self._let_run(last, 100_000)
        except StopIteration:
            return
        raise AssertionError("one writer, left in peace, never caught up")

    async def writer(self, *, is_last=False):
        """Open a partition from the lake, read and flush as a process does; after a failure start over."""
        skipped_at = None
        while True:
            try:
                pipeline = await self._open(skipped_at)
            except SinkUnavailable:
                continue
            position = pipeline.next_expected
            try:
                while not is_last or pipeline.next_expected < len(self.hub.events):
                    events = self.hub.read(position, self.rng.randint(1, 8))
                    await pipeline.feed(events)
                    position = events[-1].sequence_number + 1 if events else position
                    if self.rng.random() < 0.05:  # the SDK reconnected and delivers again
                        position = max(0, position - self.rng.randint(1, 6))
                    if self.rng.random() < 0.3:
                        await pipeline.flush()
                    await step()
                await pipeline.flush()
            except (Overtaken, SinkUnavailable):
                continue
            except GapUnexplained:
                skipped_at = pipeline.next_expected
                continue
            return

    async def _open(self, skipped_at):
        chains = await find_chains(self.lake, STREAM, [0], CREATED_AT, accept_recreated=False)
        if self.rng.random() < 0.5:
            await sweep(self.lake, STREAM, chains.keys(), 0.0)
        heads = await find_heads(self.lake, STREAM, {chain: root for chain, root in chains.items() if root})
        (chain,) = chains
        source = Source("ticks", CREATED_AT, CONTRACT)
        committer = self.committer(
            self.lake, chain, source, heads.get(chain), _encode, _pause, self._new_attempt
        )
        handler = PartitionIngest(committer, _POLICY, self._bounds, NoProgress(), clock=lambda: 0.0)
        return FedPartition(handler, await handler.start(), skipped_at)

    async def _bounds(self):
        return PartitionBounds(self.hub.oldest, len(self.hub.events) - 1)

    def _new_attempt(self):
        self._attempts += 1
        return f"{self._attempts:x}"

    def outcome(self):
        """Compare the lake with the hub's events, read without any of the code under test."""
        landed, lost, gaps, bad = Counter(), [], set(), set()
        slots = [path for path in self.lake.files if path.endswith(".parquet") and path.startswith("raw/")]
        for path in slots:
            file = pq.ParquetFile(pa.BufferReader(self.lake.files[path]))
            says = {key.decode(): value.decode() for key, value in file.metadata.metadata.items()}
            landed.update(file.read(["sequence_number"])["sequence_number"].to_pylist())
            if int(says["gap"]):
                gaps.update(range(int(says["first_seq"]), int(says["last_seq"]) + 1))
            if says["dead_letter"]:
                lines = self.lake.files[says["dead_letter"]].splitlines()
                bad.update(msgspec.json.decode(line)["sequence_number"] for line in lines)
        first = min((int(path[-28:-8]) for path in slots), default=0)
        for event in self.hub.events[first:]:
            number = event.sequence_number
            in_place = bad if event.body == b"?" else landed
            if number not in in_place and not (number in gaps and number < self.hub.oldest):
                lost.append(number)
        return Outcome(
            lost=lost,
            doubled=[number for number, times in landed.items() if times > 1 or number in gaps],
            files=len(slots),
            gaps=len(gaps),
            folders=len({path.rpartition("/")[0] for path in slots}),
        )


@dataclass
class Outcome:
    """Sequence numbers lost and doubled, and numbers of files, gaps and folders."""

    lost: list
    doubled: list
    files: int
    gaps: int
    folders: int


async def _encode(table, footer):
    """Encode only one column and the footer, which suffice for a chain and cost far less."""
    sink = pa.BufferOutputStream()
    numbers = table.select(["sequence_number"]).replace_schema_metadata(footer.key_values())
    pq.write_table(numbers, sink, compression="none", use_dictionary=False, write_statistics=False)
    return bytes(sink.getvalue())


async def _pause(_seconds):
    await step()


async def _checkpoint(_partition, _head):
    await step()
