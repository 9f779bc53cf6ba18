"""A bare AMQP client with prepared frames, which costs so little that the hub's speed is measured.

`python -m services.cli.bench.micro.raw_client send|receive …` prints "ready", waits for a line on stdin, does
its work, and prints one JSON line: the number of events, the seconds that they took, and for `receive` the
seconds until the first event.
"""

import argparse
import json
import socket
import sys
import time
from collections.abc import Iterator
from struct import Struct

from shared.amqp import encoder as amqp
from shared.amqp.decoder import decode
from shared.amqp.frames import AMQP_HEADER, SASL_HEADER, Frame, FrameReader, frame

BATCH, BODY_BYTES, IN_FLIGHT = 500, 300, 8
MAX_FRAME_BYTES = 1 << 20
# The key of Microsoft's emulator, as SASL PLAIN carries it.
_PLAIN = b"\0RootManageSharedAccessKey\0SAS_KEY_VALUE"
# The message format of a batch: data sections, each an encoded message.
_BATCH_FORMAT = 0x80013700
_WINDOW = 0x7FFFFFFF
_SELECTOR = "apache.org:selector-filter:string"
_SASL_INIT, _OPEN, _BEGIN, _ATTACH, _FLOW, _TRANSFER, _DISPOSITION = 0x41, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15
_SOURCE, _TARGET = 0x28, 0x29
_SIZE = Struct(">I")
# Shorter than any event, longer than any other frame that comes in between.
_MIN_EVENT_BYTES = 256
_READ_BYTES = 1 << 20


def connect(port: int) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", port))
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    window = amqp.uint(_WINDOW)
    opened.sendall(
        SASL_HEADER
        + frame(0, performative(_SASL_INIT, amqp.symbol("PLAIN"), amqp.binary(_PLAIN)), 1)
        + AMQP_HEADER
        + frame(0, performative(_OPEN, amqp.string("bench"), amqp.NULL, amqp.uint(MAX_FRAME_BYTES)))
        + frame(0, performative(_BEGIN, amqp.NULL, amqp.uint(0), window, window))
    )
    return opened


def performative(code: int, *fields: bytes) -> bytes:
    return amqp.described(code, amqp.sequence(fields))


def attach(name: str, source: bytes, target: bytes, *, is_receiver: bool) -> bytes:
    ends = (amqp.NULL, amqp.NULL, source, target, amqp.NULL, amqp.NULL, amqp.uint(0))
    return frame(0, performative(_ATTACH, amqp.string(name), amqp.uint(0), amqp.boolean(is_receiver), *ends))


def batch(*, is_keyed: bool) -> bytes:
    """Return the payload of one delivery with BATCH events.

    If `is_keyed`, each event has a header, a partition key and a property, as the SDK sends them.
    """
    event = amqp.described(0x75, amqp.binary(b"z" * BODY_BYTES))
    if is_keyed:
        header = performative(0x70, amqp.boolean(True), *[amqp.NULL] * 4)
        key = (amqp.symbol("x-opt-partition-key"), amqp.string("vehicle-7"))
        properties = amqp.described(0x74, amqp.mapping([(amqp.string("kind"), amqp.string("reading"))]))
        event = header + amqp.described(0x72, amqp.mapping([key])) + properties + event
    return amqp.described(0x75, amqp.binary(event)) * BATCH


def frames(opened: socket.socket) -> Iterator[tuple[int, list[object]]]:
    """Yield the code and the fields of each performative that is received."""
    reader = FrameReader(MAX_FRAME_BYTES)
    while received := opened.recv(_READ_BYTES):
        for one in reader.feed(received):
            if isinstance(one, Frame) and one.kind == 0 and one.body:
                value, _ = decode(one.body)
                yield value.descriptor, value.value


def send(port: int, target: str, events: int, *, is_keyed: bool) -> float:
    """Send batches, with up to IN_FLIGHT unanswered at a time.

    Return the seconds until the last batch is accepted.
    """
    payload, deliveries = batch(is_keyed=is_keyed), events // BATCH
    with connect(port) as opened:
        ends = performative(_SOURCE, amqp.string("bench")), performative(_TARGET, amqp.string(target))
        opened.sendall(attach("out", *ends, is_receiver=False))
        incoming = frames(opened)
        credit = _wait_for_credit(incoming)
        wait_for_go()
        start_s = time.perf_counter()
        sent = accepted = 0
        while accepted < deliveries:
            while sent < min(deliveries, accepted + IN_FLIGHT, credit):
                tag = amqp.binary(b"%d" % sent)
                opening = (amqp.uint(0), amqp.uint(sent), tag, amqp.uint(_BATCH_FORMAT), amqp.boolean(False))
                opened.sendall(frame(0, performative(_TRANSFER, *opening) + payload))
                sent += 1
            code, fields = next(incoming)
            if code == _DISPOSITION:
                accepted += 1
            elif code == _FLOW:
                credit = _total_credit(fields)
            else:
                raise SystemExit(f"the hub sent {code:#x} {fields}")
        return time.perf_counter() - start_s


def _wait_for_credit(incoming: Iterator[tuple[int, list[object]]]) -> int:
    return next(granted for code, fields in incoming if code == _FLOW and (granted := _total_credit(fields)))


def _total_credit(fields: list[object]) -> int:
    """Return the number of deliveries that the hub has allowed since the link began."""
    count, credit = fields[5], fields[6]
    return count + credit if isinstance(count, int) and isinstance(credit, int) else 0


def receive(port: int, source: str, selector: str, events: int) -> tuple[float, float]:
    """Receive `events` events. Return the seconds until the last event, and until the first."""
    with connect(port) as opened:
        described = b"\x00" + amqp.symbol(_SELECTOR) + amqp.string(selector)
        filters = amqp.mapping([(amqp.symbol(_SELECTOR), described)])
        begins = performative(_SOURCE, amqp.string(source), *[amqp.NULL] * 6, filters)
        wait_for_go()
        start_s = time.perf_counter()
        window = amqp.uint(_WINDOW)
        links = (amqp.uint(0), amqp.uint(0), amqp.uint(events))
        opened.sendall(
            attach("in", begins, performative(_TARGET, amqp.string("bench")), is_receiver=True)
            + frame(0, performative(_FLOW, amqp.uint(1), window, amqp.uint(0), window, *links))
        )
        first_s = _skip_events(opened, 1)
        _skip_events(opened, events - 1)
        return time.perf_counter() - start_s, first_s - start_s


_held = bytearray()


def _skip_events(opened: socket.socket, events: int) -> float:
    """Skip frames until `events` events have arrived. Return the time of the last one."""
    while True:
        position, end = 0, len(_held)
        while end - position >= _SIZE.size and events:
            size = _SIZE.unpack_from(_held, position)[0]
            if _held[position : position + 4] == AMQP_HEADER[:4]:
                size = len(AMQP_HEADER)
            if end - position < size:
                break
            events -= size >= _MIN_EVENT_BYTES
            position += size
        del _held[:position]
        if not events:
            return time.perf_counter()
        received = opened.recv(_READ_BYTES)
        if not received:
            raise SystemExit("the hub hung up")
        _held.extend(received)


def wait_for_go() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m services.cli.bench.micro.raw_client", description=__doc__
    )
    parser.add_argument("work", choices=("send", "receive"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", required=True, help="of the hub's partition or consumer group")
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--keyed", action="store_true", help="send keyed events with a property")
    parser.add_argument(
        "--selector", default="amqp.annotation.x-opt-offset > '-1'", help="the position to read from"
    )
    flags = parser.parse_args()
    if flags.work == "send":
        took_s, first_s = send(flags.port, flags.address, flags.events, is_keyed=flags.keyed), 0.0
    else:
        took_s, first_s = receive(flags.port, flags.address, flags.selector, flags.events)
    print(json.dumps({"events": flags.events, "took_s": took_s, "first_s": first_s}))


if __name__ == "__main__":
    main()
