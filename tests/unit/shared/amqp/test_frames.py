import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.amqp.frames import (
    AMQP_HEADER,
    SASL_HEADER,
    Frame,
    FrameReader,
    FramingError,
    ProtocolHeader,
    frame,
)

frames = st.builds(Frame, st.integers(0, 1), st.integers(0, 0xFFFF), st.binary(max_size=200))
received = st.lists(
    st.one_of(frames, st.sampled_from([ProtocolHeader(AMQP_HEADER), ProtocolHeader(SASL_HEADER)]))
)


@given(received, st.lists(st.integers(1, 50), max_size=60))
def test_frames_survive_any_cutting_of_the_stream(sent, cuts):
    """However TCP cuts the bytes, the same headers and frames come out."""
    stream = b"".join(
        item.raw if isinstance(item, ProtocolHeader) else frame(item.channel, item.body, item.kind)
        for item in sent
    )
    reader = FrameReader(1024)
    out = []
    for size in cuts:
        out += reader.feed(stream[:size])
        stream = stream[size:]
    out += reader.feed(stream)
    assert out == sent


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_frames_or_refused(raw):
    """A stream that is no AMQP ends in a FramingError or waits for more, nothing else."""
    with contextlib.suppress(FramingError):
        list(FrameReader(512).feed(raw))


def test_frames_above_the_agreed_size_are_refused_at_once():
    """A claimed gigabyte is refused at its header, before its bytes are kept."""
    with pytest.raises(FramingError, match="above"):
        list(FrameReader(1024).feed(b"\x40\x00\x00\x00\x02\x00\x00\x00"))


def test_contradictory_headers_are_refused():
    """A frame whose body would begin outside it is refused."""
    with pytest.raises(FramingError, match="contradicts"):
        list(FrameReader(1024).feed(b"\x00\x00\x00\x08\x08\x00\x00\x00"))
    with pytest.raises(FramingError, match="contradicts"):
        list(FrameReader(1024).feed(b"\x00\x00\x00\x08\x01\x00\x00\x00"))
