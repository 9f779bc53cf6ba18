"""Events read off messages as the SDK decodes them."""

import pytest
from azure.eventhub import EventData
from azure.eventhub._pyamqp.message import Message, Properties

from shared.contract.dead_letter_id import DeadLetterId
from shared.streams.event import decode_event
from shared.streams.event_hubs.messages import read_body, read_content_type, read_enqueued_us

ANNOTATIONS = {
    b"x-opt-sequence-number": 41,
    b"x-opt-offset": b"8192",
    b"x-opt-enqueued-time": 1_700_000_000_123,
}
LETTER = DeadLetterId("2026-01-01T00:00:00Z", 3, 17, 2)


def message(**sections):
    return Message(message_annotations=ANNOTATIONS, **sections)


@pytest.mark.parametrize(
    "sections",
    [
        {"data": [b"one ", b"and two"], "properties": Properties(content_type=b"application/json")},
        {"data": [b"no type"], "properties": Properties(message_id=b"7")},
        {"data": [b"odd"], "properties": Properties(content_type=b"text/\xff")},
        {"data": [b""]},
        {"value": b"not ours"},
        {"sequence": [[1, 2]]},
    ],
)
def test_an_event_says_what_the_sdk_says_of_it(sections):
    """Whatever a sender put into a message, it is read as the SDK's own event class reads it."""
    raw = message(**sections)
    event, theirs = decode_event(raw), EventData._from_message(raw)
    assert (event.sequence_number, event.offset) == (theirs.sequence_number, theirs.offset)
    assert (event.enqueued_us, event.content_type) == (read_enqueued_us(theirs), read_content_type(theirs))
    assert event.body == read_body(theirs)
    assert event.replay_of is None


def test_an_event_names_the_dead_letter_that_it_replays():
    """Properties come as bytes from another's sender, and as text from ours."""
    sent = LETTER.properties()
    for properties in (sent, {name.encode(): value for name, value in sent.items()}):
        event = decode_event(message(data=[b"{}"], application_properties=properties))
        assert event.replay_of == LETTER
