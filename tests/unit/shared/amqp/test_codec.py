import contextlib
import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.amqp import encoder as amqp
from shared.amqp import performatives
from shared.amqp.decoder import DecodeError, Described, decode, skip

scalars = st.one_of(
    st.booleans().map(lambda value: (value, amqp.boolean(value))),
    st.integers(0, 0xFF).map(lambda value: (value, amqp.ubyte(value))),
    st.integers(0, 0xFFFF).map(lambda value: (value, amqp.ushort(value))),
    st.integers(0, 2**32 - 1).map(lambda value: (value, amqp.uint(value))),
    st.integers(0, 2**64 - 1).map(lambda value: (value, amqp.ulong(value))),
    st.integers(-(2**31), 2**31 - 1).map(lambda value: (value, amqp.integer(value))),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: (value, amqp.long(value))),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: (value, amqp.timestamp(value))),
    st.floats(allow_nan=False).map(lambda value: (value, b"\x82" + struct.pack(">d", value))),
    st.uuids().map(lambda value: (value, amqp.uuid(value))),
    st.binary(max_size=300).map(lambda value: (value, amqp.binary(value))),
    st.text(max_size=300).map(lambda value: (value, amqp.string(value))),
    st.text(max_size=20).map(lambda value: (value, amqp.symbol(value))),
    st.lists(st.text(max_size=20), max_size=300).map(lambda value: (value, amqp.strings(value))),
    st.just((None, amqp.NULL)),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=8).map(
            lambda items: ([value for value, _ in items], amqp.sequence(raw for _, raw in items))
        ),
        st.dictionaries(st.text(max_size=8), inner, max_size=8).map(
            lambda entries: (
                {key: value for key, (value, _) in entries.items()},
                amqp.mapping((amqp.string(key), raw) for key, (_, raw) in entries.items()),
            )
        ),
        inner.map(lambda item: (Described(0x77, item[0]), amqp.described(0x77, item[1]))),
    ),
    max_leaves=12,
)


@given(values, st.binary(max_size=8), st.binary(max_size=8))
def test_what_is_encoded_is_decoded(encoded, before, after):
    """Every value comes back as it went in, wherever in the buffer it stands."""
    value, raw = encoded
    buffer = before + raw + after
    assert decode(buffer, len(before)) == (value, len(before) + len(raw))


@given(values)
def test_skipping_lands_where_decoding_does(encoded):
    """A value can be stepped over without being looked at."""
    _, raw = encoded
    assert skip(raw + b"\x40", 0) == len(raw)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_decode_or_are_refused(raw):
    """Arbitrary bytes decode to a value or raise DecodeError, and cause no other failure."""
    for read in (decode, skip, performatives.decode_performative):
        with contextlib.suppress(DecodeError):
            read(raw) if read is not skip else skip(raw, 0)


@given(values, st.data())
def test_cut_values_are_refused(encoded, data):
    """A value that ends early is refused, at whichever byte it ends."""
    _, raw = encoded
    end = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(DecodeError):
        decode(raw[:end])


def test_lying_counts_allocate_nothing():
    """A list that claims four billion items in nine bytes is refused before memory is taken for them."""
    for code in (0xD0, 0xD1, 0xF0):
        with pytest.raises(DecodeError, match="more items"):
            decode(bytes((code,)) + b"\x00\x00\x00\x04\xff\xff\xff\xff" + b"\x40" * 8)


def test_deep_nesting_is_refused():
    """A kilobyte of opening lists does not exhaust the stack."""
    raw = amqp.NULL
    for _ in range(40):
        raw = amqp.sequence([raw])
    with pytest.raises(DecodeError, match="nested"):
        decode(raw)
    with pytest.raises(DecodeError, match="nested"):
        decode(b"\x00" * 5000)
    with pytest.raises(DecodeError):
        skip(b"\x00" * 5000, 0)


def test_performatives_are_checked_field_by_field():
    """A frame whose fields have the wrong types is refused with the field's name."""
    good = amqp.described(0x14, amqp.sequence([amqp.uint(1), amqp.uint(2), amqp.binary(b"t")]))
    transfer, end = performatives.decode_performative(good + b"payload")
    assert transfer == performatives.Transfer(1, 2, b"t")
    assert end == len(good)
    bad = amqp.described(0x14, amqp.sequence([amqp.string("one")]))
    with pytest.raises(DecodeError, match="transfer"):
        performatives.decode_performative(bad)


def test_raw_fields_are_cut_as_sent():
    """A link's source and target can be echoed byte for byte."""
    source = amqp.described(0x28, amqp.sequence([amqp.string("hub")]))
    fields = [amqp.string("link"), amqp.uint(300), amqp.boolean(True), amqp.uuid(uuid.uuid4()), source]
    body = amqp.described(0x12, amqp.sequence(fields))
    assert performatives.raw_fields(body) == fields


def test_a_performative_too_large_is_not_even_looked_at():
    """A megabyte of nested lists is refused by its length: decoding it would block the event loop."""
    huge = amqp.described(0x12, amqp.sequence([amqp.sequence([amqp.NULL] * 200)] * 5000))
    with pytest.raises(DecodeError, match="more than"):
        performatives.decode_performative(huge)
    # A transfer's payload is no part of it.
    transfer = amqp.described(0x14, amqp.sequence([amqp.uint(1)]))
    assert performatives.decode_performative(transfer + bytes(1 << 20))[1] == len(transfer)


valid_frames = st.sampled_from(
    [
        amqp.described(0x10, amqp.sequence([amqp.string("c"), amqp.NULL, amqp.uint(65536), amqp.ushort(1)])),
        amqp.described(0x11, amqp.sequence([amqp.NULL, amqp.uint(0), amqp.uint(9), amqp.uint(9)])),
        amqp.described(
            0x12,
            amqp.sequence(
                [
                    amqp.string("link"),
                    amqp.uint(0),
                    amqp.boolean(True),
                    *[amqp.NULL] * 2,
                    amqp.described(0x28, amqp.sequence([amqp.string("hub")])),
                ]
            ),
        ),
        amqp.described(0x13, amqp.sequence([amqp.uint(number) for number in range(10)])),
        amqp.described(0x14, amqp.sequence([amqp.uint(0), amqp.uint(1), amqp.binary(b"t")])) + b"payload",
        amqp.described(0x15, amqp.sequence([amqp.boolean(True), amqp.uint(1)])),
        amqp.described(0x16, amqp.sequence([amqp.uint(0), amqp.boolean(True)])),
        amqp.described(0x41, amqp.sequence([amqp.symbol("PLAIN"), amqp.binary(b"x")])),
    ]
)


@given(
    valid_frames, st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=4), st.integers(0, 3)
)
def test_spoilt_frames_are_read_or_refused(body, changes, cut):
    """A frame with some bytes changed, or cut short, is a performative or a DecodeError."""
    spoilt = bytearray(body[: len(body) - cut])
    for at, value in changes:
        spoilt[at % len(spoilt)] = value
    with contextlib.suppress(DecodeError):
        performatives.decode_performative(bytes(spoilt))
        performatives.raw_fields(bytes(spoilt))
