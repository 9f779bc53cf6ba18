"""One partition on made-up events: hours, gaps, repeats, and writers that are elsewhere."""

import random

import msgspec
import pyarrow as pa
import pytest
import structlog

from services.ingest.commit import Committer, Overtaken, Source
from services.ingest.open_file import RollPolicy
from services.ingest.partition import PartitionIngest
from shared.lake.parquet import encode, read_metadata
from shared.lake.slots.chain import find_heads
from shared.lake.slots.footer import Footer
from shared.lake.slots.root import create_root, root_at_hour
from shared.lake.slots.slot import HOUR_US, ChainKey
from shared.service.errors import GapUnexplained
from shared.streams.event import Event
from shared.streams.hub_properties import PartitionBounds
from tests.support.ingest_model import CONTRACT, CREATED_AT, FedPartition, ModelLake, NoProgress, Tick

HOUR = 497_184
SOURCE = Source("ticks", CREATED_AT, CONTRACT)


@pytest.fixture(autouse=True)
def silence():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@pytest.fixture
def lake():
    return ModelLake(random.Random(0))


def done(coroutine):
    """Run every step of a coroutine without competition."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value


def event(number, hour=HOUR, minute=0):
    body = msgspec.json.encode(Tick(number))
    return Event(number, f"@{number}", hour * HOUR_US + minute * HOUR_US // 60, None, body)


async def _encode(table, footer):
    return encode(table, footer)


async def _nothing(*_arguments):
    return None


def open_partition(lake, *, partition=0, oldest=0, skipped_at=None):
    """Open a partition as a new process does; the hub has events from `oldest` on."""
    chain = ChainKey("ticks", partition)
    head = None
    if chain.root in lake.files:
        root = done(create_root(lake, chain, root_at_hour(CREATED_AT, 0, 0)))
        head = done(find_heads(lake, "ticks", {chain: root}))[chain]
    committer = Committer(lake, chain, SOURCE, head, _encode, _nothing)

    async def bounds():
        return PartitionBounds(oldest, 100)

    handler = PartitionIngest(
        committer, RollPolicy(100, 10**6, 60.0), bounds, NoProgress(), clock=lambda: 0.0
    )
    return FedPartition(handler, done(handler.start()), skipped_at)


def chain(lake, partition=0):
    """Return path (without raw/ticks) and footer of each committed file of a partition, in order of paths."""
    found = []
    for path, data in sorted(lake.files.items()):
        if path.startswith("raw/ticks/date=") and f"/p{partition:02d}-" in path:
            found.append(
                (path.removeprefix("raw/ticks/"), Footer.from_key_values(read_metadata(data).metadata, path))
            )
    return found


def summary(lake):
    return [
        (
            path[len("date=2026-09-20/") : len("date=2026-09-20/hour=00")],
            says.first_seq,
            says.rows,
            says.next_folder,
        )
        for path, says in chain(lake)
    ]


def folder(hour):
    return f"date=2026-09-20/hour={hour:02d}"


def test_an_hour_closes_its_file(lake):
    """The first event of a later hour closes the file before it, whose footer names the new folder."""
    pipeline = open_partition(lake)
    done(pipeline.feed([event(0), event(1), event(2, HOUR + 1)]))
    done(pipeline.flush())
    assert summary(lake) == [("hour=00", 0, 2, folder(1)), ("hour=01", 2, 1, folder(1))]


def test_waking_hours_later_turns_the_chain(lake):
    """An idle partition's flush cannot know the next hour: a zero-row file leads there once it is known."""
    pipeline = open_partition(lake)
    done(pipeline.feed([event(0)]))
    done(pipeline.flush())
    done(pipeline.feed([event(1, HOUR + 5)]))
    done(pipeline.flush())
    assert summary(lake) == [
        ("hour=00", 0, 1, folder(0)),
        ("hour=00", 1, 0, folder(5)),
        ("hour=05", 1, 1, folder(5)),
    ]


def test_a_clock_that_goes_back_changes_no_folder(lake):
    """Events of an hour that is over land in the folder the chain has reached; rows keep their time."""
    pipeline = open_partition(lake)
    done(pipeline.feed([event(0, HOUR + 2), event(1, HOUR), event(2, HOUR + 2)]))
    done(pipeline.flush())
    assert summary(lake) == [("hour=02", 0, 3, folder(2))]


def test_repeats_are_dropped(lake):
    """Events that the SDK delivers again land once."""
    pipeline = open_partition(lake)
    done(pipeline.feed([event(0), event(1), event(0), event(1), event(2)]))
    done(pipeline.flush())
    ((_, says),) = chain(lake)
    assert (says.first_seq, says.last_seq, says.rows) == (0, 2, 3)


def test_a_skip_is_asked_about_first(lake):
    """A skip commits the events before it and reopens the link; a second one is a gap, with its size."""
    pipeline = open_partition(lake)
    with pytest.raises(GapUnexplained):
        done(pipeline.feed([event(0), event(5)]))
    assert pipeline.next_expected == 1

    again = open_partition(lake, oldest=5)
    done(again.feed([event(5, HOUR + 1), event(6, HOUR + 1)]))
    done(again.flush())

    assert [(says.first_seq, says.last_seq, says.rows, says.gap) for _, says in chain(lake)] == [
        (0, 0, 1, 0),
        (1, 4, 0, 4),
        (5, 6, 2, 0),
    ]


def test_a_second_skip_is_not_excused_by_the_first():
    """One known gap does not explain another."""
    pipeline = open_partition(ModelLake(random.Random(0)), skipped_at=0)
    with pytest.raises(GapUnexplained):
        done(pipeline.feed([event(3), event(7)]))


def test_a_writer_left_behind_leaves(lake):
    """A writer that finds the slots ahead of its events filled reopens from the lake instead of writing."""
    slow, quick = open_partition(lake), open_partition(lake)
    done(slow.feed([event(0)]))
    done(quick.feed([event(0), event(1), event(2)]))
    done(quick.flush())
    with pytest.raises(Overtaken):
        done(slow.flush())
    assert [(says.first_seq, says.rows) for _, says in chain(lake)] == [(0, 3)]


def test_the_loser_lands_the_rest(lake):
    """A writer that loses a slot drops the events in the winner's file and lands the others."""
    slow, quick = open_partition(lake), open_partition(lake)
    done(slow.feed([event(number) for number in range(5)]))
    done(quick.feed([event(0), event(1)]))
    done(quick.flush())
    done(slow.flush())
    assert [(says.first_seq, says.last_seq, says.rows) for _, says in chain(lake)] == [(0, 1, 2), (2, 4, 3)]
    assert not [path for path in lake.files if path.startswith("_staging/")]


def test_each_partition_has_its_own_newest_folder(lake):
    """A partition that was idle for hours resumes from its own file, even if others have newer folders."""
    for partition, hours in ((0, [HOUR]), (1, [HOUR, HOUR + 3, HOUR + 40])):
        for number, hour in enumerate(hours):
            pipeline = open_partition(lake, partition=partition)
            done(pipeline.feed([event(number, hour)]))
            done(pipeline.flush())
    assert open_partition(lake, partition=0).next_expected == 1
    assert open_partition(lake, partition=1).next_expected == 3
    assert open_partition(lake, partition=2).next_expected == 0


def test_a_footer_larger_than_the_tail_is_read_whole(lake):
    """A file with very many columns still shows where the chain continues."""
    wide = pa.table({f"c{number}": [1] for number in range(3_000)})
    pipeline = open_partition(lake)
    done(pipeline.feed([event(0)]))
    done(pipeline.flush())
    ((path, says),) = chain(lake)
    lake.files[f"raw/ticks/{path}"] = encode(wide, says)
    assert open_partition(lake).next_expected == 1
