"""Gzip bodies: read if they say so, and never expanded beyond a bound."""

import gzip
import time
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.codec.arrow_bodies import write_stream
from shared.codec.body_decoder import ARROW, JSON, NDJSON, BodyDecoder
from shared.codec.content_encoding import MAX_EXPANDED_BYTES, expand_gzip, is_gzip
from shared.contract.columns import READING
from shared.service.errors import BadRecord
from tests.support.reading_bodies import ONE, TWO, build_arrow, encode_json, reading

DECODER = BodyDecoder(READING)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (ONE, JSON),
        (ONE, None),
        (ONE + b"\n" + TWO, NDJSON),
        (b"[" + ONE + b"]", JSON),
        (write_stream(build_arrow(reading(1))), ARROW),
        (write_stream(build_arrow(reading(1))), None),
    ],
)
def test_a_gzip_body_lands_as_the_plain_one(body, content_type):
    """Whatever is inside, compressing it changes no row."""
    plain = DECODER.decode(body, content_type)
    for packed in (gzip.compress(body), gzip.compress(body[:20]) + gzip.compress(body[20:]) + b"\0" * 8):
        decoded = DECODER.decode(packed, content_type, "gzip")
        assert (decoded.records, decoded.lines, decoded.bad) == (plain.records, plain.lines, [])
        assert decoded.batch == plain.batch


@pytest.mark.parametrize("name", [None, "", "utf-8", "identity", "deflate", "br"])
def test_other_encodings_are_ignored(name):
    """IoT Hub asks senders to write their character set there."""
    assert not is_gzip(name)
    assert DECODER.decode(ONE, JSON, name).records


def bomb():
    return gzip.compress(b" " * (MAX_EXPANDED_BYTES + 1))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (bomb(), "too large"),
        (gzip.compress(b"") * 50_000, "too large"),
        (gzip.compress(ONE)[:-9], "malformed"),
        (gzip.compress(ONE) + b"more", "malformed"),
        (ONE, "malformed"),
        (gzip.compress(b"\n" * MAX_EXPANDED_BYTES), "no record"),
        (gzip.compress(b"?\n" * (MAX_EXPANDED_BYTES // 2)), "too large"),
        (gzip.compress(b"[" + b"1," * (MAX_EXPANDED_BYTES // 2 - 2) + b"1]"), "too large"),
        (gzip.compress(b"{" + b'"a":1,' * (MAX_EXPANDED_BYTES // 6 - 2) + b'"a":1}'), "too large"),
    ],
    ids=["bomb", "members", "cut off", "trailing", "plain", "newlines", "lines", "elements", "fields"],
)
def test_a_bad_gzip_body_is_one_letter_as_it_was_sent(body, reason):
    """Neither time nor memory grows beyond the bound, and the letter is no larger than the event."""
    began_s = time.process_time()
    tracemalloc.start()
    decoded = DECODER.decode(body, JSON, "gzip")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - began_s < 5
    assert peak_bytes < 6 * MAX_EXPANDED_BYTES
    (bad,) = decoded.bad
    assert bad.reason.startswith(reason)
    assert bad.is_whole
    assert bad.body == body


def test_a_bad_line_of_a_gzip_body_is_kept_expanded():
    """It can be read and mended by itself."""
    bad = encode_json(2, year=1700)
    decoded = DECODER.decode(gzip.compress(ONE + b"\n" + bad), NDJSON, "gzip")
    assert [(one.line, one.body, one.is_whole) for one in decoded.bad] == [(1, bad, False)]
    assert len(decoded.records) == 1


@given(st.binary(max_size=300), st.integers(0, 40), st.integers(0, 255))
def test_no_bytes_make_it_raise_anything_else(body, place, byte):
    """A damaged gzip body is refused, or is some other body."""
    damaged = bytearray(gzip.compress(body))
    damaged[place % len(damaged)] = byte
    with suppress(BadRecord):
        assert len(expand_gzip(bytes(damaged))) <= MAX_EXPANDED_BYTES
