import pytest
from azure.eventhub import EventData

from shared.streams.event_hubs.messages import read_content_type


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"application/json", "application/json"),
        ("text/plain", "text/plain"),
        (b"j\xff", "j\ufffd"),
        (None, None),
    ],
)
def test_a_strangers_content_type_stops_no_reader(sent, read):
    """Whatever bytes a sender calls its content type, the event is read."""
    event = EventData(b"{}")
    event.content_type = sent
    assert read_content_type(event) == read


def test_an_event_may_have_no_content_type():
    """An event without AMQP properties is one of no content type."""
    assert read_content_type(EventData(b"{}")) is None
