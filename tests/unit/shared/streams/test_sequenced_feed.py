import pytest

from shared.service.errors import GapUnexplained
from shared.streams.event import Event
from shared.streams.handler_protocols import Start
from shared.streams.sequenced_feed import SequencedFeed


def events(*numbers):
    return [Event(number, str(number), 0, None, b"") for number in numbers]


class Noting:
    """A handler that records its events."""

    def __init__(self):
        self.runs = []
        self.flushes = 0

    async def handle(self, events):
        self.runs.append([event.sequence_number for event in events])

    async def flush(self):
        self.flushes += 1


@pytest.fixture
def handler():
    return Noting()


async def test_what_follows_is_handed_on_as_it_is(handler):
    """Events in sequence go to the handler together, without a copy's cost."""
    feed = SequencedFeed(handler, "hub", Start(4))
    await feed.feed(events(4, 5, 6))
    assert handler.runs == [[4, 5, 6]]
    assert feed.next_expected == 7


async def test_repeats_are_dropped(handler):
    """Events that the SDK delivers again after a reconnect are handled once, in any lists."""
    feed = SequencedFeed(handler, "hub", Start(0))
    await feed.feed(events(0, 1, 2))
    await feed.feed(events(1, 2, 3, 3, 4))
    await feed.feed(events(2, 3))
    assert handler.runs == [[0, 1, 2], [3, 4]]
    assert feed.next_expected == 5


async def test_a_first_skip_stops(handler):
    """Events before a skip are handled and flushed; then the link must be reopened at the skip."""
    feed = SequencedFeed(handler, "hub", Start(0))
    with pytest.raises(GapUnexplained, match="expected event 2, the link brought 5"):
        await feed.feed(events(0, 1, 5, 6))
    assert handler.runs == [[0, 1]]
    assert handler.flushes == 1
    assert feed.next_expected == 2


@pytest.mark.parametrize(("start", "skipped_at"), [(Start(2, is_gap_known=True), None), (Start(0), 2)])
async def test_a_skip_that_the_hub_or_an_earlier_link_explains_is_a_gap(handler, start, skipped_at):
    """At a confirmed gap the following events are handled, in a list of their own."""
    feed = SequencedFeed(handler, "hub", start, skipped_at)
    await feed.feed(events(*range(start.next_expected, 2), 5, 6))
    assert handler.runs[-1] == [5, 6]
    assert feed.next_expected == 7
    with pytest.raises(GapUnexplained):  # one known gap does not explain another
        await feed.feed(events(9))
