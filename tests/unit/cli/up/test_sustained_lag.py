from services.cli.up.sustained_lag import PartitionEnd, SustainedLag


def lag_of(last, **taken):
    lag = SustainedLag({"telemetry": ("ingest", "scorer")})
    lag.see_end("telemetry", "0", PartitionEnd(begin=0, last=last))
    for reader, next_sequence in taken.items():
        lag.see_reader(reader, "telemetry", "0", next_sequence)
    return lag


def test_the_slowest_reader_counts():
    """A hub's lag is that of the reader which is furthest behind."""
    assert lag_of(9, ingest=10, scorer=4).take() == {"telemetry": {"0": 6}}


def test_what_was_drained_at_any_moment_does_not_stand():
    """Events on their way at one look are no lag where the next look finds none."""
    lag = lag_of(9, ingest=10, scorer=4)
    lag.sample()
    lag.see_reader("scorer", "telemetry", "0", 10)
    lag.sample()
    lag.see_end("telemetry", "0", PartitionEnd(begin=0, last=14))
    lag.sample()
    lag.sample()
    assert lag.take() == {"telemetry": {"0": 0}}


def test_what_arrived_since_the_look_before_is_in_flight():
    """A steady stream that is read at once shows no lag, however many events are under way at a look."""
    lag = lag_of(9, ingest=10, scorer=10)
    lag.sample()
    lag.see_end("telemetry", "0", PartitionEnd(begin=0, last=29))
    lag.sample()
    assert lag.now() == {("telemetry", "0"): 20}
    assert lag.take() == {"telemetry": {"0": 0}}


def test_an_interval_begins_anew():
    """What was drained a second ago says nothing of this second."""
    lag = lag_of(9, ingest=10, scorer=10)
    lag.sample()
    lag.take()
    lag.see_end("telemetry", "0", PartitionEnd(begin=0, last=19))
    lag.sample()
    lag.take()
    lag.sample()
    assert lag.take() == {"telemetry": {"0": 10}}


def test_a_reader_that_is_ahead_of_the_look_has_no_lag():
    """What arrived between the look at the hub and the look at the reader is never negative."""
    assert lag_of(9, ingest=12, scorer=11).take() == {"telemetry": {"0": 0}}


def test_a_restarting_readers_last_word_holds():
    """While a reader restarts, what arrives is lag."""
    lag = lag_of(9, ingest=10, scorer=10)
    lag.see_end("telemetry", "0", PartitionEnd(begin=0, last=29))
    assert lag.now() == {("telemetry", "0"): 20}


def test_what_retention_took_is_no_lag():
    """Events that are gone are not waited for."""
    lag = lag_of(9, ingest=0, scorer=0)
    lag.see_end("telemetry", "0", PartitionEnd(begin=8, last=9))
    assert lag.now() == {("telemetry", "0"): 2}


def test_lag_is_known_once_every_reader_has_spoken_of_every_partition():
    """The stack is not ready while a reader has yet to find where it stands."""
    lag = lag_of(-1, ingest=0)
    assert not lag.is_known()
    lag.see_reader("scorer", "telemetry", "0", 0)
    assert lag.is_known()
    lag.see_end("telemetry", "1", PartitionEnd(begin=0, last=-1))
    assert not lag.is_known()


def test_a_hub_nobody_of_ours_reads_has_no_lag():
    """A hub that a person made beside ours is not reported."""
    lag = lag_of(9, ingest=10, scorer=10)
    lag.see_end("mine", "0", PartitionEnd(begin=0, last=99))
    assert lag.take() == {"telemetry": {"0": 0}}
    assert lag.is_known()


def test_another_processs_partition_is_drained_once_its_checkpoint_says_so():
    """Partitions that processes of others own are on no page of ours: their checkpoints tell."""
    lag = lag_of(9, ingest=10)
    said = {("ingest", "telemetry", "0")}
    assert lag.is_unaccounted(said)
    assert not lag.is_drained(said)
    lag.see_checkpoint("scorer", "telemetry", "0", 9)
    assert lag.now() == {("telemetry", "0"): 1}
    assert not lag.is_drained(said)
    lag.see_checkpoint("scorer", "telemetry", "0", 10)
    assert lag.now() == {("telemetry", "0"): 0}
    assert lag.is_drained(said)


def test_the_last_word_about_a_partition_that_moved_is_not_its_lag():
    """A process goes on saying how far it came in a partition that another one has taken over."""
    lag = lag_of(9, ingest=4, scorer=10)
    said = lag.expected()
    lag.sample()
    assert lag.is_unaccounted(said)
    lag.see_checkpoint("ingest", "telemetry", "0", 10)
    assert lag.is_drained(said)
    assert not lag.is_unaccounted(said)


def test_a_restarting_readers_last_word_drains_nothing():
    """What a reader took in before it was killed may be lost with it; what it had checkpointed is not."""
    lag = lag_of(9, ingest=10, scorer=10)
    assert lag.is_drained(lag.expected())
    lag.see_checkpoint("ingest", "telemetry", "0", 10)
    lag.see_checkpoint("scorer", "telemetry", "0", 8)
    assert not lag.is_drained({("ingest", "telemetry", "0")})
    assert lag.is_drained({("scorer", "telemetry", "0")})


def test_checkpoints_are_not_asked_for_while_pages_tell_it_all():
    """Readers that keep up cost the storage no questions, however much is in flight."""
    lag = lag_of(9, ingest=10, scorer=10)
    lag.sample()
    lag.see_end("telemetry", "0", PartitionEnd(begin=0, last=29))
    assert lag.now() == {("telemetry", "0"): 20}
    assert not lag.is_unaccounted(lag.expected())


def test_nothing_is_drained_before_the_hubs_were_seen():
    """Silence is no proof."""
    assert not SustainedLag({"telemetry": ("ingest",)}).is_drained(set())
