"""A client made of frames, for what no SDK sends or shows."""

import asyncio
from weakref import WeakKeyDictionary

from shared.amqp import encoder as amqp
from shared.amqp import performative_encoder
from shared.amqp.connection import MAX_FRAME_BYTES
from shared.amqp.decoder import decode
from shared.amqp.frames import AMQP_HEADER, SASL_HEADER, Frame, FrameReader, frame

PLAIN = b"\0RootManageSharedAccessKey\0SAS_KEY_VALUE"
SOURCE = "telemetry/ConsumerGroups/$Default/Partitions/0"


def performative(code, *fields):
    return amqp.described(code, amqp.sequence(fields))


BEGIN = performative(0x11, amqp.NULL, amqp.uint(0), amqp.uint(2**31 - 1), amqp.uint(2**31 - 1))


def make_opening(*, max_frame_bytes=65536, token=True):
    """Return everything a client sends before its first link."""
    mechanism, response = ("PLAIN", amqp.binary(PLAIN)) if token else ("ANONYMOUS", amqp.NULL)
    return (
        SASL_HEADER
        + frame(0, performative(0x41, amqp.symbol(mechanism), response), 1)
        + AMQP_HEADER
        + frame(0, performative(0x10, amqp.string("raw"), amqp.NULL, amqp.uint(max_frame_bytes)))
        + frame(0, BEGIN)
    )


OPENING = make_opening()
OPENING_OF_A_STRANGER = make_opening(token=False)


def attach(handle, *, receiver, address, channel=0, capabilities=amqp.NULL, properties=amqp.NULL):
    terminus = amqp.sequence([amqp.string(address)])
    other = amqp.sequence([amqp.string("me")])
    source, target = (terminus, other) if receiver else (other, terminus)
    filters = amqp.mapping(
        [
            (
                amqp.symbol("apache.org:selector-filter:string"),
                amqp.string("amqp.annotation.x-opt-offset > '-1'"),
            )
        ]
    )
    if receiver:
        source = amqp.sequence([amqp.string(address), *[amqp.NULL] * 6, filters])
    return frame(
        channel,
        performative(
            0x12,
            amqp.string(f"link-{handle}"),
            amqp.uint(handle),
            amqp.boolean(receiver),
            amqp.NULL,
            amqp.NULL,
            amqp.described(0x28, source),
            amqp.described(0x29, target),
            *[amqp.NULL] * 5,
            capabilities,
            properties,
        ),
    )


def credit(handle, count, window=2**31 - 1):
    return frame(
        0,
        performative_encoder.flow(
            next_incoming_id=1, incoming_window=window, next_outgoing_id=0, link=(handle, 0, count)
        ),
    )


def transfer(delivery_id, payload, *, more=False, handle=0):
    return frame(
        0,
        performative(
            0x14,
            amqp.uint(handle),
            amqp.uint(delivery_id),
            amqp.binary(b"t"),
            amqp.uint(0),
            amqp.boolean(False),
            amqp.boolean(more),
        )
        + payload,
    )


_cutters: "WeakKeyDictionary[asyncio.StreamReader, FrameReader]" = WeakKeyDictionary()


async def frames_until(reader, wanted, seconds=10, count=1):
    """The frames that come up to the first with the performative `wanted`, or up to as many as `count`."""
    # A frame that one read cuts is completed by the next.
    cutter, frames = _cutters.setdefault(reader, FrameReader(MAX_FRAME_BYTES)), []
    async with asyncio.timeout(seconds):
        while data := await reader.read(65536):
            frames += [item for item in cutter.feed(data) if isinstance(item, Frame) and item.body]
            if kinds(frames).count(wanted) >= count:
                return frames
    raise AssertionError(f"closed before {wanted:#x} came")


def kinds(frames):
    """The performatives of the frames, without those of SASL."""
    return [item.body[2] for item in frames if item.kind == 0]


def fields(item):
    """The fields of a frame's performative, trailing nulls included."""
    return decode(item.body)[0].value


async def connect(server, said=OPENING):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(said)
    return reader, writer
