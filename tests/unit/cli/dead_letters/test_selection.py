from datetime import UTC, datetime, timedelta

import pytest

from services.cli.dead_letters.selection import Named, Place, Selection, names_of
from shared.lake.slots.slot import ChainKey, DeadLetterFile
from shared.service.errors import NeedsAttention

TELEMETRY = ChainKey("telemetry", 3)


@pytest.mark.parametrize("text", ["3:17:0", "3-g2:17:0", "3:17", "12:00:5"])
def test_an_id_names_a_place(text):
    """PARTITION:SEQUENCE[:LINE], with the generation of a hub that was re-created."""
    named = Named.of(text, "telemetry")
    assert str(named) == text.replace(":00", ":0")


@pytest.mark.parametrize("text", ["", "3", "3:", ":17", "3:17:", "3:-1", "a:1", "3:17:0:0", "3-g:1"])
def test_what_is_no_id_is_refused(text):
    """The message says what one looks like."""
    with pytest.raises(NeedsAttention, match="PARTITION:SEQUENCE"):
        Named.of(text, "telemetry")


def meant(text, place):
    return not frozenset({Named.of(text, "telemetry")}).isdisjoint(names_of(place))


def test_an_event_means_all_its_letters():
    """Without a line every bad line of the event is meant, of that event alone."""
    assert meant("3:17", Place(TELEMETRY, 17, 0))
    assert meant("3:17", Place(TELEMETRY, 17, 9))
    assert not meant("3:17", Place(TELEMETRY, 18, 0))
    assert not meant("3:17", Place(ChainKey("telemetry", 3, 2), 17, 0))
    assert not meant("3:17:1", Place(TELEMETRY, 17, 0))


def test_only_files_written_since_are_read():
    """A file holds what came before it was written, by a clock that may be another's."""
    since = datetime(2026, 3, 1, 12, tzinfo=UTC)
    selection = Selection("telemetry", since=since)
    assert selection.may_hold(since - timedelta(minutes=30))
    assert not selection.may_hold(since - timedelta(hours=2))
    assert Selection("telemetry").may_hold(datetime.min.replace(tzinfo=UTC))


def test_only_files_that_may_hold_an_id_are_read():
    """The last that does not start after the event, every attempt at it; other partitions' are left alone."""
    files = [DeadLetterFile(TELEMETRY, first, "a") for first in (0, 10, 20)]
    other, second = DeadLetterFile(ChainKey("telemetry", 4), 10, "a"), DeadLetterFile(TELEMETRY, 10, "b")
    selection = Selection("telemetry", frozenset({Named.of("3:19", "telemetry")}))
    assert selection.files([*files, other, second]) == [files[1], second]
    assert Selection("telemetry", frozenset({Named.of("5:0", "telemetry")})).files(files) == []


def test_files_are_read_in_order():
    """By partition, generation and sequence, however the listing orders their names."""
    lanes = [ChainKey("telemetry", 2), ChainKey("telemetry", 2, 2), ChainKey("telemetry", 100)]
    files = [DeadLetterFile(lane, first, "a") for lane in lanes for first in (0, 5)]
    assert Selection("telemetry").files(sorted(files, key=lambda file: file.path)) == files
