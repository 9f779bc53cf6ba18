import contextlib

import pytest
from azure.eventhub._pyamqp._decode import decode_payload
from hypothesis import given
from hypothesis import strategies as st

from services.emulator.event_hubs.event_cutter import BATCH_FORMAT, EventCutter
from services.emulator.log.annotations import encode_records
from services.emulator.log.records import HEADER_BYTES
from shared.amqp import encoder as amqp
from shared.amqp.decoder import DecodeError


def data(body):
    return amqp.described(0x75, amqp.binary(body))


def header():
    return amqp.described(0x70, amqp.sequence([amqp.boolean(True)]))


def annotate(**entries):
    pairs = [(amqp.symbol(key.replace("_", "-")), amqp.string(value)) for key, value in entries.items()]
    return amqp.described(0x72, amqp.mapping(pairs))


def store(payload, message_format=0):
    """Return what the SDK decodes from the stored events, and the partition key."""
    events, key = EventCutter().cut(message_format, payload)
    decoded = []
    for number, event in enumerate(events):
        record = encode_records([event], 40 + number, 1000, 123456).data
        decoded.append(decode_payload(memoryview(record[HEADER_BYTES:])))
    return decoded, key


def test_a_plain_event_gets_its_place():
    """An event is stored with number, offset and time before its untouched body."""
    [event], key = store(data(b"body"))
    assert event.data == [b"body"]
    assert key is None
    assert event.message_annotations == {
        b"x-opt-sequence-number": 40,
        b"x-opt-offset": b"1000",
        b"x-opt-enqueued-time": 123456,
    }


def test_what_the_sender_said_is_kept():
    """Header, own annotations, properties and partition key reach the reader as they were sent."""
    properties = amqp.described(0x74, amqp.mapping([(amqp.string("k"), amqp.string("v"))]))
    payload = header() + annotate(x_opt_partition_key="vehicle-7", mine="yes") + properties + data(b"body")
    [event], key = store(payload)
    assert key == "vehicle-7"
    assert event.header.durable is True
    assert event.application_properties == {b"k": b"v"}
    assert event.message_annotations[b"x-opt-partition-key"] == b"vehicle-7"
    assert event.message_annotations[b"mine"] == b"yes"


def test_a_sender_cannot_choose_its_number():
    """Annotations that are the service's own are replaced, not believed."""
    payload = annotate(x_opt_offset="7", x_opt_sequence_number="9", x_opt_enqueued_time="x") + data(b"body")
    [event], _ = store(payload)
    assert event.message_annotations[b"x-opt-offset"] == b"1000"
    assert event.message_annotations[b"x-opt-sequence-number"] == 40


def test_long_annotations_fit():
    """Annotations of any length are kept, in the long form where the short one ends."""
    for length in (100, 160, 170, 180, 1000):
        [event], _ = store(annotate(mine="x" * length) + data(b"body"))
        assert event.message_annotations[b"mine"] == b"x" * length
        assert event.data == [b"body"]


def test_delivery_annotations_end_at_this_hop():
    """Delivery annotations, which concern only the service, are not forwarded."""
    payload = amqp.described(0x71, amqp.mapping([(amqp.symbol("hop"), amqp.string("1"))])) + data(b"body")
    [event], _ = store(payload)
    assert event.delivery_annotations is None
    assert event.data == [b"body"]


@pytest.mark.parametrize("is_batch", [False, True])
def test_delivery_annotations_behind_the_body_reach_the_reader(is_batch):
    """The Python SDK writes them there, and the SDKs read them there."""
    hop = amqp.described(0x71, amqp.mapping([(amqp.symbol("hop"), amqp.string("1"))]))
    for body in (data(b"body"), amqp.described(0x77, amqp.string("body"))):
        message = body + hop
        [event], _ = store(data(message), BATCH_FORMAT) if is_batch else store(message)
        assert event.delivery_annotations == {b"hop": b"1"}


def test_delivery_annotations_elsewhere_are_refused():
    """Between other sections, twice, or not as a map they are no message."""
    hop = amqp.described(0x71, amqp.mapping([]))
    for message in (data(b"a") + hop + data(b"b"), data(b"a") + hop + hop):
        with pytest.raises(DecodeError):
            store(message)
    with pytest.raises(DecodeError, match="map"):
        store(data(b"a") + amqp.described(0x71, amqp.string("x")))


def test_a_batch_is_its_events():
    """A batch is cut into its messages, in order; one key is the key of all."""
    inner = [header() + annotate(x_opt_partition_key="k") + data(b"%d" % number) for number in range(5)]
    outer = annotate(x_opt_partition_key="k") + b"".join(data(message) for message in inner)
    events, key = store(outer, BATCH_FORMAT)
    assert key == "k"
    assert [event.data for event in events] == [[b"%d" % number] for number in range(5)]
    assert all(event.message_annotations[b"x-opt-partition-key"] == b"k" for event in events)


def test_openings_that_begin_alike_are_told_apart():
    """An event with a header alone, and one with the same header and annotations, keep what is theirs."""
    inner = [header() + data(b"a"), header() + annotate(mine="b") + data(b"b"), header() + data(b"c")]
    for order in (inner, inner[::-1], inner[1:], inner[:1]):
        events, _ = store(b"".join(map(data, order)), BATCH_FORMAT)
        for event in events:
            expected = b"b" if event.data == [b"b"] else None
            assert event.message_annotations.get(b"mine") == expected
            assert event.header.durable


def test_events_of_a_batch_may_differ():
    """A batch may mix events with, without and with other annotations; each keeps its own."""
    inner = [
        data(b"plain"),
        annotate(mine="a") + data(b"x"),
        annotate(mine="b") + data(b"x" * 300),
        header() + data(b"x"),
        annotate(mine="a") + data(b"x"),
    ]
    events, _ = store(b"".join(data(message) for message in inner), BATCH_FORMAT)
    assert [event.message_annotations.get(b"mine") for event in events] == [None, b"a", b"b", None, b"a"]
    assert [event.message_annotations[b"x-opt-sequence-number"] for event in events] == [40, 41, 42, 43, 44]


def hop(value):
    return amqp.described(0x71, amqp.mapping([(amqp.symbol("hop"), amqp.string(value))]))


# What a message may begin and go on with, in their order; each part may be left out.
PARTS = (
    (header(), amqp.described(0x70, amqp.sequence([amqp.boolean(False)]))),
    (hop("first"), hop("second")),
    (annotate(mine="a"), annotate(mine="b"), annotate(x_opt_partition_key="k"), annotate(mine="a" * 300)),
    (amqp.described(0x73, amqp.sequence([amqp.string("id")])),),
    (amqp.described(0x74, amqp.mapping([(amqp.string("name"), amqp.string("value"))])),),
)
BODIES = (data(b"x"), data(b"x") + data(b"y"), data(b"z" * 300), amqp.described(0x77, amqp.string("text")))
MESSAGES = st.builds(
    lambda parts, body, end: b"".join(filter(None, parts)) + body + end,
    st.tuples(*(st.sampled_from((None, *part)) for part in PARTS)),
    st.sampled_from(BODIES),
    st.sampled_from((b"", hop("last"))),
)


@given(st.lists(MESSAGES, min_size=1, max_size=8))
def test_a_batch_stores_each_event_as_if_it_were_alone(messages):
    """However events of a batch, or of one link, begin alike, each keeps what is its own."""
    cutter = EventCutter()
    together, _ = cutter.cut(BATCH_FORMAT, b"".join(map(data, messages)))
    one_by_one = [cutter.cut(0, message)[0][0] for message in messages]
    alone = [EventCutter().cut(0, message)[0][0] for message in messages]
    assert together == one_by_one == alone


@given(st.binary(max_size=200), st.sampled_from([0, BATCH_FORMAT]))
def test_arbitrary_payloads_are_events_or_refused(payload, message_format):
    """Arbitrary bytes sent as an event are stored or refused, and cause no other failure."""
    opened = b"\x00\x53\x72" + payload
    for candidate in (payload, opened, data(opened), data(payload)):
        with contextlib.suppress(DecodeError):
            EventCutter().cut(message_format, candidate)


@pytest.mark.parametrize("message_format", [0, BATCH_FORMAT])
def test_messages_without_a_body_are_refused(message_format):
    """A message that ends after its annotations is no event."""
    message = annotate(mine="x")
    payload = data(message) if message_format else message
    with pytest.raises(DecodeError):
        EventCutter().cut(message_format, payload)
