import contextlib
import decimal
import struct
import uuid

import pytest
from azure.eventhub import EventData
from azure.eventhub._pyamqp._decode import decode_payload
from hypothesis import given
from hypothesis import strategies as st

from services.emulator.event_hubs.event_cutter import BATCH_FORMAT, EventCutter
from services.emulator.log.annotations import encode_records
from services.emulator.log.records import HEADER_BYTES
from shared.amqp import encoder as amqp
from shared.amqp.decoder import MAX_DEPTH, DecodeError

CHAR, DECIMAL_32, DECIMAL_64 = b"\x73\x00\x00\x00\x41", b"\x74" + b"\x22" * 4, b"\x84" + b"\x22" * 8
DATA = amqp.described(0x75, amqp.binary(b"body"))


def section(code, *pairs):
    return amqp.described(code, amqp.mapping(pairs))


def properties(value):
    return section(0x74, (amqp.string("key"), value))


def store(payload, message_format=0):
    """The events as every reader will get them. Raises DecodeError for what is refused."""
    events, _ = EventCutter().cut(message_format, payload)
    return [encode_records([event], 0, 0, 0).data[HEADER_BYTES:] for event in events]


def encode_described(descriptor, value):
    return b"\x00" + descriptor + value


def deep(levels):
    value = amqp.NULL
    for _ in range(levels):
        value = amqp.sequence([value])
    return value


scalars = st.one_of(
    st.sampled_from([amqp.NULL, b"\x43", b"\x44", b"\x45", b"\x56\x01", b"\x51\xff", b"\x61\xff\xff"]),
    st.binary(min_size=16, max_size=16).map(lambda raw: b"\x94" + raw),
    st.integers(0, 255).map(amqp.ubyte),
    st.integers(-(2**63), 2**63 - 1).map(amqp.long),
    st.integers(-(2**63), 2**63 - 1).map(amqp.timestamp),
    st.floats().map(lambda value: b"\x82" + struct.pack(">d", value)),
    st.floats(width=32).map(lambda value: b"\x72" + struct.pack(">f", value)),
    st.uuids().map(amqp.uuid),
    st.text(max_size=300).map(amqp.string),
    st.text(max_size=8).map(amqp.symbol),
    st.binary(max_size=300).map(amqp.binary),
    st.lists(st.text(max_size=3), max_size=5).map(amqp.strings),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(amqp.sequence),
        st.lists(st.tuples(scalars, inner), max_size=4).map(amqp.mapping),
        st.builds(encode_described, scalars, inner),
    ),
    max_leaves=8,
)
sections = st.one_of(
    st.builds(amqp.described, st.integers(0x6F, 0x7A), values),
    st.lists(values, max_size=15).map(lambda items: amqp.described(0x73, amqp.sequence(items))),
    st.lists(values, max_size=7).map(lambda items: amqp.described(0x70, amqp.sequence(items))),
    st.lists(st.tuples(st.text(max_size=8).map(amqp.string), values), max_size=4).map(
        lambda pairs: section(0x74, *pairs)
    ),
    st.just(DATA),
)


@given(st.lists(sections, max_size=4), st.booleans(), st.data())
def test_whatever_is_stored_the_sdk_takes_apart(parts, is_batch, data):
    """No accepted event stops a reader: the SDK decodes it with all its properties."""
    payload = bytearray(b"".join(parts))
    for _ in range(data.draw(st.integers(0, 3)) if payload else 0):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    message = amqp.described(0x75, amqp.binary(bytes(payload))) if is_batch else bytes(payload)
    with contextlib.suppress(DecodeError):
        for event in store(message, BATCH_FORMAT if is_batch else 0):
            if (read := _read(event)) is None:
                continue
            assert str(read)
            assert read.system_properties is not None
            assert read.raw_amqp_message.header is None or str(read.raw_amqp_message.header)


def _read(event):
    """Decode by the SDK; None for what it cannot read: chars, decimals, huge exponents, empty arrays."""
    if b"\xf0\x00\x00\x00\x05\x00\x00\x00\x00" in event or b"\xe0\x02\x00" in event:
        return None
    try:
        return EventData._from_message(decode_payload(memoryview(event)))
    except decimal.DecimalException:
        return None
    except TypeError as exc:
        if "'NoneType' object is not callable" in str(exc):
            return None
        raise


@pytest.mark.parametrize(
    "value",
    [
        b"\x82" + struct.pack(">d", 1.5),
        amqp.uuid(uuid.UUID(int=1)),
        amqp.timestamp(-1),
        amqp.mapping([(amqp.string("a"), amqp.sequence([amqp.NULL, amqp.boolean(True)]))]),
        amqp.strings(["a", "b"]),
        encode_described(amqp.symbol("com.microsoft:datetime-offset"), amqp.long(1)),
        deep(MAX_DEPTH - 3),
        CHAR,
        DECIMAL_32,
        DECIMAL_64,
    ],
)
def test_values_of_every_type_are_stored_as_sent(value):
    """Valid AMQP reaches the reader byte for byte, whether or not the SDK knows the type."""
    for message in (properties(value) + DATA, amqp.described(0x77, value)):
        assert store(message)[0].endswith(message)
        wrapped = amqp.described(0x75, amqp.binary(message))
        assert store(wrapped, BATCH_FORMAT)[0].endswith(message)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (properties(b"\x3f") + DATA, "no AMQP type"),
        (properties(deep(MAX_DEPTH)) + DATA, "too deeply"),
        (properties(b"\xa1\x01\xff") + DATA, "not UTF-8"),
        (properties(b"\xd1\x00\x00\x00\x08\x00\x00\x00\x02\x40\x40") + DATA, "claims more|items"),
        (properties(amqp.mapping([(amqp.sequence([]), amqp.NULL)])) + DATA, "collection"),
        (properties(amqp.mapping([(encode_described(b"\x53\x24", amqp.NULL), amqp.NULL)])) + DATA, "key"),
        (properties(encode_described(amqp.sequence([]), amqp.NULL)) + DATA, "descriptor"),
        (section(0x74, (amqp.uint(1), amqp.NULL)) + DATA, "strings as keys"),
        (amqp.described(0x73, amqp.sequence([amqp.NULL] * 14)) + DATA, "properties"),
        (amqp.described(0x73, amqp.sequence([amqp.NULL] * 6 + [amqp.uint(1)])) + DATA, "properties"),
        (amqp.described(0x73, amqp.sequence([amqp.NULL, amqp.string("dXNlcg==")])) + DATA, "properties"),
        (amqp.described(0x70, amqp.sequence([amqp.NULL] * 6)) + DATA, "header"),
        (amqp.described(0x75, amqp.string("text")), "not binary"),
        (amqp.described(0x76, amqp.string("text")), "not a list"),
        (DATA + amqp.described(0x77, amqp.NULL), "different kinds"),
        (amqp.described(0x77, amqp.NULL) * 2, "order"),
        (DATA + properties(amqp.NULL), "order"),
        (DATA + amqp.described(0x79, amqp.NULL), "order"),
        (DATA + amqp.described(0x78, amqp.NULL), "footer"),
        (properties(amqp.NULL), "no body"),
        (DATA + b"\x00", "no section"),
    ],
)
def test_what_would_stop_a_reader_is_refused(message, reason):
    """Malformed properties are refused when they are sent, alone or in a batch: no reader ever meets them."""
    with pytest.raises(DecodeError, match=reason):
        store(message)
    with pytest.raises(DecodeError, match=reason):
        store(amqp.described(0x75, amqp.binary(message)), BATCH_FORMAT)


@pytest.mark.parametrize("length", [10, 250, 251, 300, 5000])
def test_one_bad_event_refuses_its_batch(length):
    """A batch is accepted as a whole or refused, wherever the bad event is and however long it is."""
    good = amqp.described(0x75, amqp.binary(b"x" * length))
    bad = properties(amqp.string("x" * length)[:-1] + b"\xff") + good
    batch = [amqp.described(0x75, amqp.binary(message)) for message in (good, bad, good)]
    with pytest.raises(DecodeError):
        store(b"".join(batch), BATCH_FORMAT)
    assert len(store(batch[0] + batch[2], BATCH_FORMAT)) == 2


def test_a_batch_may_repeat_its_first_events_properties():
    """JavaScript's batches do so, before the events; they belong to none of them."""
    first = properties(amqp.string("v")) + DATA
    envelope = amqp.described(0x73, amqp.sequence([amqp.string("id")])) + properties(amqp.string("v"))
    batch = envelope + amqp.described(0x75, amqp.binary(first)) + amqp.described(0x75, amqp.binary(DATA))
    events = store(batch, BATCH_FORMAT)
    assert [event.endswith(sent) for event, sent in zip(events, (first, DATA), strict=True)] == [True, True]
