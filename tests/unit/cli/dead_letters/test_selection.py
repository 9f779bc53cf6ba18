from datetime import UTC, datetime, timedelta

import pytest

from services.cli.dead_letters.selection import LetterRef, Place, Selection, refs_to
from shared.lake.slots.slot import ChainKey, DeadLetterFile
from shared.service.errors import NeedsAttention

TELEMETRY = ChainKey("telemetry", 3)


@pytest.mark.parametrize("text", ["3:17:0", "3-g2:17:0", "3:17", "12:00:5"])
def test_an_id_names_a_place(text):
    """PARTITION:SEQUENCE[:LINE], with the generation of a hub that was re-created."""
    named = LetterRef.parse(text, "telemetry")
    assert str(named) == text.replace(":00", ":0")


@pytest.mark.parametrize("text", ["", "3", "3:", ":17", "3:17:", "3:-1", "a:1", "3:17:0:0", "3-g:1"])
def test_text_that_is_no_id_is_refused(text):
    """The message shows the format of an id."""
    with pytest.raises(NeedsAttention, match="PARTITION:SEQUENCE"):
        LetterRef.parse(text, "telemetry")


def is_selected(text, place):
    return not frozenset({LetterRef.parse(text, "telemetry")}).isdisjoint(refs_to(place))


def test_an_event_selects_all_its_letters():
    """Without a line every bad line of the event is selected, and no other event's."""
    assert is_selected("3:17", Place(TELEMETRY, 17, 0))
    assert is_selected("3:17", Place(TELEMETRY, 17, 9))
    assert not is_selected("3:17", Place(TELEMETRY, 18, 0))
    assert not is_selected("3:17", Place(ChainKey("telemetry", 3, 2), 17, 0))
    assert not is_selected("3:17:1", Place(TELEMETRY, 17, 0))


def test_only_files_written_since_are_read():
    """A file holds letters from before it was written, by a clock that may differ."""
    since = datetime(2026, 3, 1, 12, tzinfo=UTC)
    selection = Selection("telemetry", since=since)
    assert selection.may_hold(since - timedelta(minutes=30))
    assert not selection.may_hold(since - timedelta(hours=2))
    assert Selection("telemetry").may_hold(datetime.min.replace(tzinfo=UTC))


def test_only_files_that_may_hold_an_id_are_read():
    """The last file that does not start after the event, of every attempt; other partitions' are skipped."""
    files = [DeadLetterFile(TELEMETRY, first, "a") for first in (0, 10, 20)]
    other, second = DeadLetterFile(ChainKey("telemetry", 4), 10, "a"), DeadLetterFile(TELEMETRY, 10, "b")
    selection = Selection("telemetry", frozenset({LetterRef.parse("3:19", "telemetry")}))
    assert selection.select_files([*files, other, second]) == [files[1], second]
    assert Selection("telemetry", frozenset({LetterRef.parse("5:0", "telemetry")})).select_files(files) == []


def test_files_are_read_in_order():
    """By partition, generation and sequence, however the listing orders their names."""
    chains = [ChainKey("telemetry", 2), ChainKey("telemetry", 2, 2), ChainKey("telemetry", 100)]
    files = [DeadLetterFile(chain, first, "a") for chain in chains for first in (0, 5)]
    assert Selection("telemetry").select_files(sorted(files, key=lambda file: file.path)) == files
