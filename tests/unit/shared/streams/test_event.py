"""Events read off messages as the SDK decodes them."""

import gzip
import json
from decimal import Decimal
from uuid import UUID

import pytest
from azure.eventhub import EventData
from azure.eventhub._pyamqp._decode import decode_payload
from azure.eventhub._pyamqp._encode import encode_payload
from azure.eventhub._pyamqp.message import Message, Properties
from azure.eventhub._transport._pyamqp_transport import PyamqpTransport

from shared.codec.body_decoder import BodyDecoder
from shared.contract.columns import READING
from shared.contract.dead_letter_id import DeadLetterId
from shared.streams.amqp_values import properties_from_json, properties_to_json
from shared.streams.event import Event, decode_body, decode_event
from shared.streams.event_hubs.messages import make_event, read_enqueued_us, read_event
from tests.support.reading_bodies import ONE

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
        {"data": [b"plain"], "properties": Properties(content_type="text/plain")},
        {"data": [b""]},
    ],
)
def test_an_event_says_what_the_sdk_says_of_it(sections):
    """Whatever a sender put into a message, it is read as the SDK's own event class reads it."""
    raw = message(**sections)
    event, theirs = decode_event(raw), EventData._from_message(raw)
    assert (event.sequence_number, event.offset) == (theirs.sequence_number, theirs.offset)
    assert (event.enqueued_us, event.content_type) == (read_enqueued_us(theirs), theirs.content_type)
    assert event.body == b"".join(theirs.body)
    assert event.replay_of is None
    assert read_event(theirs) == event


def test_names_that_are_no_text_stop_no_reader():
    """Whatever bytes a sender calls its content type and content encoding, the event is read."""
    event = decode_event(
        message(data=[b""], properties=Properties(content_type=b"j\xff", content_encoding=b"\xfe"))
    )
    assert (event.content_type, event.content_encoding) == ("j\ufffd", "\ufffd")


DECODER = BodyDecoder(READING)


@pytest.mark.parametrize("value", [ONE, ONE.decode()])
def test_a_text_or_binary_value_is_the_body(value):
    """qpid and JavaScript's `bodyType` send the body as an AMQP value: its record lands."""
    decoded = decode_body(DECODER, decode_event(message(value=value)))
    assert [record.reading_no for record in decoded.records] == [1]
    assert not decoded.bad


UUID_1 = UUID(int=1)


@pytest.mark.parametrize(
    ("sections", "kept"),
    [
        ({"value": {b"make": b"ford", b"year": 2017}}, {"make": "ford", "year": 2017}),
        ({"value": {1: b"a", b"b": None}}, [[1, "a"], ["b", None]]),
        ({"value": [1, [True, {}], b"\xff"]}, [1, [True, {}], {"base64": "/w=="}]),
        ({"value": 17.5}, 17.5),
        ({"value": False}, False),
        ({"value": float("nan")}, {"double": "nan"}),
        ({"value": UUID_1}, {"uuid": str(UUID_1)}),
        ({"value": Decimal("1.50")}, "1.50"),
        ({"sequence": [[1, b"two"], [{b"three": 3}]]}, [[1, "two"], [{"three": 3}]]),
        ({"sequence": [[]]}, [[]]),
    ],
)
def test_any_other_value_is_kept_whole(sections, kept):
    """A map, list, number or sequence is one dead letter: its JSON, and a reason that says what to send."""
    (bad,) = decode_body(DECODER, decode_event(message(**sections))).bad
    assert json.loads(bad.body) == kept
    assert bad.reason.startswith("malformed: the body is an AMQP ")
    assert bad.reason.endswith("send it as data, text or binary")


def test_a_map_of_a_record_can_be_replayed_as_it_is_kept():
    """What its letter holds is a JSON record."""
    fields = {name.encode(): value for name, value in json.loads(ONE).items()}
    (bad,) = decode_body(DECODER, decode_event(message(value=fields))).bad
    assert DECODER.decode(bad.body, None).records


def test_a_deep_value_ends_no_reader():
    """However deep a sender nests values, they are written."""
    deep = b"x"
    for _ in range(50_000):
        deep = [deep]
    event = decode_event(message(value=deep))
    assert event.body == b"[" * 50_000 + b'"x"' + b"]" * 50_000
    while isinstance(deep, list):
        (deep,) = deep  # Python frees it without recursion


PROPERTIES = {
    b"text": b"van",
    b"binary": b"\xff",
    b"number": 7,
    b"long": 2**40,
    b"ulong": 2**64 - 1,
    b"real": 0.5,
    b"infinite": float("-inf"),
    b"flag": True,
    b"none": None,
    b"uuid": UUID_1,
}


def test_application_properties_go_through_json_unchanged():
    """What a letter keeps of them, the SDK encodes and decodes to the same values."""
    kept = json.loads(json.dumps(properties_to_json(PROPERTIES)))
    sent = make_event(b"", "text/plain", properties_from_json(kept), "gzip")
    encoded = bytearray()
    encode_payload(encoded, PyamqpTransport.to_outgoing_amqp_message(sent.raw_amqp_message))
    received = decode_payload(memoryview(encoded))
    assert received.application_properties == PROPERTIES
    found = received.properties
    assert (found.content_type, found.content_encoding) == (b"text/plain", b"gzip")


@pytest.mark.parametrize("value", [[1], {}, {"base64": "?", "x": 1}, {"uuid": "7"}, {"odd": "1"}, 2**64])
def test_a_value_that_no_property_has_is_named(value):
    """A person may have edited it."""
    with pytest.raises(ValueError, match="the property colour has no value"):
        properties_from_json({"colour": value})


def test_no_properties_are_none():
    """A letter without application properties says null."""
    assert properties_to_json(None) is properties_to_json({}) is None


@pytest.mark.parametrize("name", ["gzip", "GZIP ", "x-gzip"])
def test_a_gzip_event_is_read(name):
    """A body that says it is gzip is expanded; the character set that others write there is ignored."""
    for encoding, body in ((name, gzip.compress(ONE)), ("utf-8", ONE), (None, ONE)):
        event = Event(0, "0", 0, None, body, content_encoding=encoding)
        assert decode_body(DECODER, event).records


def test_an_event_names_the_dead_letter_that_it_replays():
    """Properties come as bytes from another's sender, and as text from ours."""
    sent = LETTER.properties()
    for properties in (sent, {name.encode(): value for name, value in sent.items()}):
        event = decode_event(message(data=[b"{}"], application_properties=properties))
        assert event.replay_of == LETTER
