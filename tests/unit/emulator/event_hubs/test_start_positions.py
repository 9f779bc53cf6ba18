import pytest

from services.emulator.event_hubs.start_positions import (
    FILTER,
    find_offset,
    parse_start_position,
)
from services.emulator.log.partition_log import PartitionLog
from services.emulator.log.records import scan_records
from shared.amqp import encoder as amqp
from shared.amqp.decoder import Described
from shared.amqp.refusal import Refusal


@pytest.fixture
def log(tmp_path):
    """Events 0 … 299 in several segments, ten to each millisecond from 1000 on."""
    log = PartitionLog(tmp_path, segment_bytes=3000)
    body = amqp.described(0x75, amqp.binary(b"x" * 20))
    for start in range(0, 300, 10):
        log.append([(b"", b"", 0, body)] * 10, 1000 + start // 10)
    yield log
    log.close()


def first_after(log, selector):
    """The sequence number of the first event that a reader with this selector gets; None at the end."""
    source = Described(0x28, ["address", *[None] * 6, {FILTER: Described(FILTER, selector)}])
    chunk = log.read(find_offset(parse_start_position(source), log), 1000)
    return None if chunk is None else next(scan_records(chunk.data)).sequence_number


def test_every_sequence_number_is_found(log):
    """A reader starts at, or right after, any number."""
    for number in range(299):
        assert first_after(log, f"amqp.annotation.x-opt-sequence-number >= '{number}'") == number
        assert first_after(log, f"amqp.annotation.x-opt-sequence-number > '{number}'") == number + 1
    assert first_after(log, "amqp.annotation.x-opt-sequence-number > '299'") is None
    assert first_after(log, "amqp.annotation.x-opt-sequence-number >= '300'") is None


def test_every_offset_is_found(log):
    """A reader starts at, or right after, the offset of any event."""
    offsets = [segment.base_offset + mark.position for segment in log.segments for mark in segment.records(0)]
    assert len(offsets) == 300
    for number, offset in enumerate(offsets[:-1]):
        assert first_after(log, f"amqp.annotation.x-opt-offset >= '{offset}'") == number
        assert first_after(log, f"amqp.annotation.x-opt-offset > '{offset}'") == number + 1
    assert first_after(log, f"amqp.annotation.x-opt-offset > '{offsets[-1]}'") is None


def test_every_time_is_found(log):
    """A reader starts with the first event at, or after, a moment."""
    for ms in range(1000, 1029):
        assert first_after(log, f"amqp.annotation.x-opt-enqueued-time >= '{ms}'") == (ms - 1000) * 10
        assert first_after(log, f"amqp.annotation.x-opt-enqueued-time > '{ms}'") == (ms - 999) * 10
    assert first_after(log, "amqp.annotation.x-opt-enqueued-time > '0'") == 0
    assert first_after(log, "amqp.annotation.x-opt-enqueued-time > '5000'") is None


def test_earliest_and_latest(log):
    """-1 is the oldest event there is, @latest only what comes from now on."""
    assert first_after(log, "amqp.annotation.x-opt-offset > '-1'") == 0
    assert first_after(log, "amqp.annotation.x-opt-offset > '@latest'") is None


def test_a_link_without_a_position_gets_everything(log):
    """Without a filter, a reader starts at the beginning of the partition, as in the service."""
    for fields in (["address"], ["address", *[None] * 7], ["address", *[None] * 6, {}]):
        assert find_offset(parse_start_position(Described(0x28, fields)), log) == log.begin_offset


@pytest.mark.parametrize(
    "filters",
    [
        {FILTER: Described(FILTER, "amqp.annotation.x-opt-mine > '1'")},
        {FILTER: "x-opt-offset > '1'"},
        {FILTER: Described(FILTER, 7)},
        {FILTER: None},
        {"apache.org:no-local-filter:list": Described("apache.org:no-local-filter:list", [])},
    ],
)
def test_a_filter_that_is_no_position_is_refused(filters):
    """With the service's condition and words, so that no reader waits for what never comes."""
    with pytest.raises(Refusal, match="is not a valid amqp filter for EventHub entities") as refused:
        parse_start_position(Described(0x28, ["address", *[None] * 6, filters]))
    assert refused.value.condition == "amqp:not-allowed"


def test_expired_positions_start_at_the_oldest_event(log):
    """A reader that asks for expired events gets the oldest retained one."""
    log.expire(now_ms=1029, max_age_ms=10**9, max_bytes=10_000)
    begin = log.state().begin_sequence_number
    assert begin > 0
    assert first_after(log, "amqp.annotation.x-opt-sequence-number >= '0'") == begin
    assert first_after(log, "amqp.annotation.x-opt-offset > '0'") == begin
    assert first_after(log, "amqp.annotation.x-opt-enqueued-time > '0'") == begin


@pytest.mark.parametrize(
    "selector",
    [
        "amqp.annotation.x-opt-sequence-number > '300'",
        "amqp.annotation.x-opt-offset > '99999999'",
        "amqp.annotation.x-opt-offset > 'abc'",
        "amqp.annotation.x-opt-partition-key > 'abc'",
        "amqp.annotation.x-opt-offset < '5'",
        "drop table events",
    ],
)
def test_positions_that_are_none_are_refused(log, selector):
    """A position that the partition never reached, or that is nonsense, is refused with a reason."""
    with pytest.raises(Refusal):
        first_after(log, selector)
