"""Memory is bounded over all partitions of a process, however many it owns."""

import pytest

from services.ingest.memory_budget import link_bytes, prefetch_share, rows_bytes, worker_rows_bytes
from services.ingest.open_file import RollPolicy
from services.ingest.settings import IngestSettings
from shared.codec.body_decoder import JSON, BodyDecoder
from shared.codec.row_buffer import EventOrigin, RowBuffer
from shared.contract.columns import READING
from tests.support.landed_files import build_events, land_events
from tests.support.reading_bodies import encode_json


@pytest.mark.parametrize(("partitions", "each"), [(1, 3_000), (4, 1_000), (32, 125), (100_000, 1)])
def test_links_share_what_is_kept_ready(partitions, each):
    """Many partitions keep fewer events ready each, never more in all, and never none."""
    settings = IngestSettings(streams="telemetry", prefetch=3_000, prefetch_in_all=4_000)
    assert prefetch_share(settings, partitions) == each


def test_streams_share_too():
    """Two streams have half each, of events kept ready and of gathered rows."""
    settings = IngestSettings(streams="telemetry,predictions", prefetch_in_all=4_000, rows_memory_bytes=2**24)
    assert prefetch_share(settings, 4) == 500
    assert rows_bytes(settings, 2, 0) == 2**23
    assert rows_bytes(settings, 2, 4) == 2**21


def test_links_share_what_received_events_may_weigh():
    """With any number of partitions, waiting events take no more memory than the setting allows."""
    settings = IngestSettings(streams="telemetry,predictions", events_memory_bytes=128 * 2**20)
    assert link_bytes(settings, 16) == 2**20
    assert 4 * 2 * 16 * link_bytes(settings, 16) == settings.events_memory_bytes
    assert link_bytes(settings, 10**9) == 1


def test_workers_share_too():
    """Four workers have a quarter each of the rows' memory, and never too little for a file."""
    assert worker_rows_bytes(IngestSettings(rows_memory_bytes=2**28, workers=4)) == 2**26
    assert worker_rows_bytes(IngestSettings(rows_memory_bytes=2**20, workers=4)) == 2**20


def test_a_partition_commits_once_it_has_its_share():
    """Rows that fill a partition's share of memory become a file, however far the roll policy is off."""
    events = build_events([(encode_json(number), JSON) for number in range(1, 5_001)], 10_000)
    policy = RollPolicy(10**6, 10**9, 60)
    small = land_events(events, policy, frozenset(), memory_share=lambda: 80_000)
    assert len(land_events(events, policy, frozenset())) == 1
    assert len(small) > 3
    assert sum(file.table.num_rows for file in small) == 5_000
    assert max(file.table.num_rows for file in small) < 2_500


def test_gathered_rows_say_what_they_weigh():
    """A buffer reports about the memory of its columns, and more while rows are still records."""
    buffer, decoder = RowBuffer(READING, 0), BodyDecoder(READING)
    for number in range(5_000):
        buffer.add(decoder.decode(encode_json(number + 1), JSON), EventOrigin(0, number, str(number), number))
    before = buffer.memory_bytes
    table = buffer.table()
    filled = [name for name in table.schema.names if table[name].null_count < table.num_rows]
    held = table.select(filled).get_total_buffer_size()
    assert held / 2 < buffer.memory_bytes < 2 * held
    assert before > buffer.memory_bytes
