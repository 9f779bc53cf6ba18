from services.cli.up.sustained_lag import PartitionEnd, SustainedLag


def lag_of(last, **taken):
    lag = SustainedLag({"telemetry": ("ingest", "scorer")})
    lag.note_end("telemetry", "0", PartitionEnd(begin=0, last=last))
    for reader, next_sequence in taken.items():
        lag.note_position(reader, "telemetry", "0", next_sequence)
    return lag


def test_the_slowest_reader_counts():
    """A hub's lag is that of the reader which is furthest behind."""
    assert lag_of(9, ingest=10, scorer=4).end_interval() == {"telemetry": {"0": 6}}


def test_a_lag_that_was_drained_at_any_moment_is_none():
    """Events in flight in one sample are no lag if the next sample finds none."""
    lag = lag_of(9, ingest=10, scorer=4)
    lag.sample()
    lag.note_position("scorer", "telemetry", "0", 10)
    lag.sample()
    lag.note_end("telemetry", "0", PartitionEnd(begin=0, last=14))
    lag.sample()
    lag.sample()
    assert lag.end_interval() == {"telemetry": {"0": 0}}


def test_what_arrived_since_the_previous_sample_is_in_flight():
    """A steady stream that is read at once has no lag, however many events are in flight in a sample."""
    lag = lag_of(9, ingest=10, scorer=10)
    lag.sample()
    lag.note_end("telemetry", "0", PartitionEnd(begin=0, last=29))
    lag.sample()
    assert lag.current() == {("telemetry", "0"): 20}
    assert lag.end_interval() == {"telemetry": {"0": 0}}


def test_intervals_are_independent():
    """A drain a second ago is no drain in this second."""
    lag = lag_of(9, ingest=10, scorer=10)
    lag.sample()
    lag.end_interval()
    lag.note_end("telemetry", "0", PartitionEnd(begin=0, last=19))
    lag.sample()
    lag.end_interval()
    lag.sample()
    assert lag.end_interval() == {"telemetry": {"0": 10}}


def test_a_reader_that_is_ahead_of_the_sample_has_no_lag():
    """Events that arrived between the samples of hub and reader make no negative lag."""
    assert lag_of(9, ingest=12, scorer=11).end_interval() == {"telemetry": {"0": 0}}


def test_a_restarting_readers_last_position_holds():
    """While a reader restarts, what arrives is lag."""
    lag = lag_of(9, ingest=10, scorer=10)
    lag.note_end("telemetry", "0", PartitionEnd(begin=0, last=29))
    assert lag.current() == {("telemetry", "0"): 20}


def test_expired_events_are_no_lag():
    """Events that retention removed are not waited for."""
    lag = lag_of(9, ingest=0, scorer=0)
    lag.note_end("telemetry", "0", PartitionEnd(begin=8, last=9))
    assert lag.current() == {("telemetry", "0"): 2}


def test_lag_is_known_once_every_reader_has_every_position():
    """The stack is not ready while a reader has no position in a partition."""
    lag = lag_of(-1, ingest=0)
    assert not lag.is_known()
    lag.note_position("scorer", "telemetry", "0", 0)
    assert lag.is_known()
    lag.note_end("telemetry", "1", PartitionEnd(begin=0, last=-1))
    assert not lag.is_known()


def test_a_hub_without_readers_has_no_lag():
    """A hub that a person made beside ours is not reported."""
    lag = lag_of(9, ingest=10, scorer=10)
    lag.note_end("mine", "0", PartitionEnd(begin=0, last=99))
    assert lag.end_interval() == {"telemetry": {"0": 0}}
    assert lag.is_known()


def test_another_processs_partition_is_drained_by_its_checkpoint():
    """Partitions that other processes own are on no page of ours: their checkpoints count."""
    lag = lag_of(9, ingest=10)
    reported = {("ingest", "telemetry", "0")}
    assert lag.is_unaccounted(reported)
    assert not lag.is_drained(reported)
    lag.note_checkpoint("scorer", "telemetry", "0", 9)
    assert lag.current() == {("telemetry", "0"): 1}
    assert not lag.is_drained(reported)
    lag.note_checkpoint("scorer", "telemetry", "0", 10)
    assert lag.current() == {("telemetry", "0"): 0}
    assert lag.is_drained(reported)


def test_the_last_position_in_a_partition_that_moved_is_not_its_lag():
    """A process still reports its position in a partition that another one has taken over."""
    lag = lag_of(9, ingest=4, scorer=10)
    reported = lag.expected()
    lag.sample()
    assert lag.is_unaccounted(reported)
    lag.note_checkpoint("ingest", "telemetry", "0", 10)
    assert lag.is_drained(reported)
    assert not lag.is_unaccounted(reported)


def test_a_restarting_readers_last_position_drains_nothing():
    """What a reader had read when it was killed may be lost; what it had checkpointed is not."""
    lag = lag_of(9, ingest=10, scorer=10)
    assert lag.is_drained(lag.expected())
    lag.note_checkpoint("ingest", "telemetry", "0", 10)
    lag.note_checkpoint("scorer", "telemetry", "0", 8)
    assert not lag.is_drained({("ingest", "telemetry", "0")})
    assert lag.is_drained({("scorer", "telemetry", "0")})


def test_checkpoints_are_not_read_while_pages_show_everything():
    """Readers that keep up cause no requests to the storage, however much is in flight."""
    lag = lag_of(9, ingest=10, scorer=10)
    lag.sample()
    lag.note_end("telemetry", "0", PartitionEnd(begin=0, last=29))
    assert lag.current() == {("telemetry", "0"): 20}
    assert not lag.is_unaccounted(lag.expected())


def test_nothing_is_drained_before_the_hubs_are_known():
    """Without a sample of the hubs nothing is proved."""
    assert not SustainedLag({"telemetry": ("ingest",)}).is_drained(set())
