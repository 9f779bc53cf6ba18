import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.emulator.websocket.frames import (
    Control,
    FrameCutter,
    Opcode,
    WebSocketRefused,
    apply_mask,
    close_frame,
    encode_close_answer,
    frame,
)
from services.emulator.websocket.handshake import UpgradeRefused, answer_upgrade

REQUEST = (
    b"GET /$servicebus/websocket HTTP/1.1\r\nHost: 127.0.0.1:5673\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt, AMQPWSB10"
)


def encode_masked(opcode, payload, mask, *, final=True):
    """A client's frame: a server's with the mask laid on."""
    whole = frame(opcode, payload)
    head = whole[: len(whole) - len(payload)]
    first = head[0] if final else head[0] & 0x7F
    return bytes([first, head[1] | 0x80]) + head[2:] + mask + apply_mask(payload, mask)


def cut(data, *places):
    """(all data, all controls) of the bytes, fed in pieces."""
    cutter, came, controls = FrameCutter(), b"", []
    for start, end in pairwise([0, *sorted(place % (len(data) + 1) for place in places), len(data)]):
        for one in cutter.feed(data[start:end]):
            if isinstance(one, Control):
                controls.append((one.opcode, one.payload))
            else:
                came += one
    return came, controls


@given(
    st.lists(st.binary(max_size=70_000), min_size=1, max_size=4),
    st.binary(min_size=4, max_size=4),
    st.binary(max_size=125),
    st.lists(st.integers(min_value=0), max_size=8),
)
def test_data_comes_out_however_it_was_cut(pieces, mask, ping, places):
    """Frames and fragments of any size, cut by the network anywhere, are the same bytes, pings among them."""
    last = len(pieces) - 1
    data = b"".join(
        encode_masked(Opcode.CONTINUATION if number else Opcode.BINARY, piece, mask, final=number == last)
        + encode_masked(Opcode.PING, ping, mask)
        for number, piece in enumerate(pieces)
    )
    assert cut(data, *places) == (b"".join(pieces), [(Opcode.PING, ping)] * len(pieces))


@given(st.binary(max_size=300), st.lists(st.integers(min_value=0), max_size=4))
def test_any_bytes_are_data_or_are_refused(data, places):
    """Any bytes, in any pieces, yield data, control frames or a refusal, and nothing else."""

    def outcome(*where):
        try:
            return cut(data, *where)
        except WebSocketRefused as refused:
            return refused.code

    assert outcome() == outcome(*places)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_servers_frame_has_its_length(size):
    """Short, medium and long frames are final, unmasked, and have the right length."""
    head, payload = frame(Opcode.BINARY, b"x" * size)[: -size or None], size
    length = {
        2: lambda: head[1],
        4: lambda: struct.unpack(">H", head[2:])[0],
        10: lambda: struct.unpack(">Q", head[2:])[0],
    }
    assert head[0] == 0x82
    assert length[len(head)]() == payload


def test_a_goodbye_is_answered_with_its_own_code():
    """The code is echoed; a code that may not be sent is a protocol error."""
    assert encode_close_answer(b"") == b"\x88\x00"
    assert encode_close_answer(struct.pack(">H", 1001) + b"bye") == close_frame(1001)
    for payload in (b"\x03", struct.pack(">H", 1005), struct.pack(">H", 1006), struct.pack(">H", 999)):
        assert encode_close_answer(payload) == close_frame(1002)


def test_the_proof_is_the_standards():
    """The key of RFC 6455's example gets the example's answer, and the subprotocol of Event Hubs."""
    answer = answer_upgrade(REQUEST, loopback_origins_only=True)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert b"Sec-WebSocket-Protocol: AMQPWSB10\r\n" in answer


@pytest.mark.parametrize(
    ("origin", "is_welcome"),
    [
        ("http://localhost:3000", True),
        ("http://127.0.0.1:5673", True),
        ("http://[::1]:80", True),
        ("https://elsewhere.example", False),
        ("null", False),
        ("http://127.0.0.1.elsewhere.example", False),
        ("http://[", False),
    ],
)
def test_only_this_machines_pages_reach_its_loopback(origin, is_welcome):
    """A page from elsewhere in the person's browser is refused; beyond loopback, keys are their own."""
    asked = REQUEST + b"\r\nOrigin: " + origin.encode()
    assert answer_upgrade(asked, loopback_origins_only=False)
    if is_welcome:
        assert answer_upgrade(asked, loopback_origins_only=True)
    else:
        with pytest.raises(UpgradeRefused, match="elsewhere"):
            answer_upgrade(asked, loopback_origins_only=True)


@given(st.binary(max_size=400))
def test_any_request_is_answered(head):
    """No request, however broken, does more than be refused in HTTP."""
    for asked in (head, REQUEST + b"\r\n" + head, REQUEST[:40] + head):
        try:
            answer = answer_upgrade(asked, loopback_origins_only=True)
        except UpgradeRefused as refused:
            answer = refused.answer
        assert answer.startswith(b"HTTP/1.1 ")
