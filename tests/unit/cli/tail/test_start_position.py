from datetime import UTC, datetime, timedelta

import pytest

from services.cli.tail.start_position import Start, parse_start
from shared.service.errors import NeedsAttention
from shared.streams.event_hubs.partition_events import AtOffset


def test_earliest_and_latest():
    """Every partition is read from its oldest event, or from now on."""
    assert parse_start("earliest") == Start(-1)
    assert parse_start("latest") == Start("@latest")


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00", "2026-03-01T12:00:00"])
def test_a_time_includes_its_own_events(text):
    """An instant, UTC by default; an event of the same millisecond is shown."""
    assert parse_start(text).position == datetime(2026, 3, 1, 12, tzinfo=UTC) - timedelta(milliseconds=1)


def test_an_offset_names_its_event():
    """PARTITION:OFFSET begins with the event at this offset, in this partition only."""
    assert parse_start("3:8589934592") == Start(AtOffset("8589934592"), "3")


@pytest.mark.parametrize("text", ["", "now", "3:", ":7", "x:7", "2026-13-01", "-1"])
def test_anything_else_is_refused_in_one_line(text):
    """The line names the valid values."""
    with pytest.raises(NeedsAttention, match="earliest, latest, an RFC 3339 time") as refused:
        parse_start(text)
    assert "\n" not in str(refused.value)
