"""Generated conversations of a client with the hub, and ways to corrupt them."""

import random

from services.emulator.event_hubs.event_cutter import BATCH_FORMAT
from shared.amqp import encoder as amqp
from shared.amqp import performative_encoder
from shared.amqp.frames import AMQP_HEADER, SASL_HEADER, frame

PLAIN = b"\0RootManageSharedAccessKey\0SAS_KEY_VALUE"
HUB = "telemetry"
_ADDRESSES = [
    HUB,
    f"{HUB}/Partitions/0",
    f"{HUB}/ConsumerGroups/$Default/Partitions/1",
    "$cbs",
    "$management",
    "amqps://127.0.0.1:5671/" + HUB,
    "nobody",
    "",
    "x" * 500,
]
_NUMBERS = [0, 1, 255, 256, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]
# Lengths and type codes, with which decoders most often fail.
_BYTES = [
    0x00,
    0x01,
    0x40,
    0x45,
    0x53,
    0x70,
    0x7F,
    0x80,
    0xA0,
    0xB0,
    0xC0,
    0xC1,
    0xD0,
    0xD1,
    0xE0,
    0xF0,
    0xFF,
]


class FuzzClient:
    """A seeded generator of conversations: the same seed generates the same conversations."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def make_conversation(self) -> list[bytes]:
        """Make the pieces of one conversation, to be written in order; some of them are corrupted."""
        pieces = [*self._make_opening(), *(self._frame() for _ in range(self.random.randint(0, 12)))]
        for _ in range(self.random.choice([0, 0, 1, 1, 2, 5])):
            at = self.random.randrange(len(pieces))
            pieces[at] = self._spoil(pieces[at])
        if self.random.random() < 0.1:
            self.random.shuffle(pieces)
        return self._cut(b"".join(pieces))

    def make_value(self, depth: int = 0) -> bytes:
        """Make a random encoded AMQP value."""
        pick = self.random.choice
        make = [
            lambda: amqp.NULL,
            lambda: amqp.boolean(pick([True, False])),
            lambda: amqp.uint(pick(_NUMBERS)),
            lambda: amqp.ulong(pick(_NUMBERS)),
            lambda: amqp.long(-pick(_NUMBERS)),
            lambda: b"\x82" + self.random.randbytes(8),
            lambda: amqp.timestamp(pick(_NUMBERS)),
            lambda: amqp.string("ü" * self.random.randint(0, 200)),
            lambda: amqp.symbol(pick(["sym", "x-opt-offset", "com.microsoft:epoch"])),
            lambda: amqp.binary(self.random.randbytes(self.random.randint(0, 300))),
            lambda: amqp.strings("abc"),
            lambda: b"\x84" + self.random.randbytes(8),
        ]
        if depth < self.random.choice([2, 3, 20]):
            inner = [self.make_value(depth + 1) for _ in range(self.random.randint(0, 3))]
            make += [
                lambda: amqp.sequence(inner),
                lambda: amqp.mapping((amqp.string(str(key)), one) for key, one in enumerate(inner)),
                lambda: amqp.described(pick(_NUMBERS), inner[0] if inner else amqp.NULL),
            ]
        return pick(make)()

    def _make_opening(self) -> list[bytes]:
        mechanism, response = self.random.choice(
            [("PLAIN", PLAIN)] * 8 + [("ANONYMOUS", b""), ("PLAIN", b"\0x\0y"), ("GSSAPI", b"")]
        )
        init = performative(0x41, amqp.symbol(mechanism), amqp.binary(response))
        opened = performative(
            0x10, amqp.string("fuzz"), amqp.NULL, amqp.uint(self.random.choice([512, 65536, 2**32 - 1]))
        )
        windows = [amqp.uint(self.random.choice(_NUMBERS)) for _ in range(3)]
        pieces = [
            SASL_HEADER,
            frame(0, init, 1),
            AMQP_HEADER,
            frame(0, opened),
            frame(0, performative(0x11, amqp.NULL, *windows)),
        ]
        if self.random.random() < 0.7:
            pieces.append(frame(0, self._make_attach(0, HUB, is_receiver=False)))
        return pieces

    def _frame(self) -> bytes:
        channel = self.random.choice([0] * 8 + [1, 300])
        make = [self._attach] * 3 + [self._transfer] * 8 + [self._flow] * 2
        make += [self._detach, self._end, self._begin, self._make_anything]
        return frame(channel, self.random.choice(make)())

    def _attach(self) -> bytes:
        handle = self.random.choice([0, 1, 2, 255, 256])
        address = self.random.choice(_ADDRESSES)
        return self._make_attach(handle, address, is_receiver=self.random.random() < 0.5)

    def _make_attach(self, handle: int, to: str, *, is_receiver: bool) -> bytes:
        address = amqp.string(to)
        filters = amqp.mapping(
            [
                (
                    amqp.symbol("apache.org:selector-filter:string"),
                    amqp.string(
                        f"amqp.annotation.x-opt-offset > '{self.random.choice([-1, 0, 7, '@latest'])}'"
                    ),
                )
            ]
        )
        source = amqp.described(0x28, amqp.sequence([address, *[amqp.NULL] * 6, filters]))
        target = amqp.described(0x29, amqp.sequence([address]))
        fields = [amqp.string("link"), amqp.uint(handle), amqp.boolean(is_receiver), amqp.NULL, amqp.NULL]
        fields += [source, target, *[amqp.NULL] * 6]
        fields.append(amqp.mapping([(amqp.symbol("com.microsoft:epoch"), self.make_value(3))]))
        return performative(0x12, *fields)

    def _transfer(self) -> bytes:
        message_format = self.random.choice([0, 0, BATCH_FORMAT])
        handle = self.random.choice([0, 0, 0, 1, 2, 256])
        fields = [amqp.uint(handle), amqp.uint(self.random.choice(_NUMBERS)), amqp.binary(b"t")]
        fields += [amqp.uint(message_format), amqp.boolean(False), amqp.boolean(self.random.random() < 0.1)]
        return performative(0x14, *fields) + self._make_payload(message_format)

    def _make_payload(self, message_format: int) -> bytes:
        if message_format == BATCH_FORMAT:
            events = [self._make_message() for _ in range(self.random.randint(0, 5))]
            return b"".join(amqp.described(0x75, amqp.binary(event)) for event in events)
        return self._make_message()

    def _make_message(self) -> bytes:
        header, properties = [amqp.boolean(True)], [amqp.string("id"), *[amqp.NULL] * 5, amqp.symbol("type")]
        if self.random.random() < 0.2:
            header = [self.make_value(3) for _ in range(self.random.randint(0, 6))]
            properties = [self.make_value(3) for _ in range(self.random.randint(0, 14))]
        sections = [
            amqp.described(0x70, amqp.sequence(header)),
            amqp.described(0x72, self._make_map()),
            amqp.described(0x73, amqp.sequence(properties)),
            amqp.described(0x74, self._make_map()),
            self.random.choice(
                [
                    amqp.described(0x75, amqp.binary(b"body")),
                    amqp.described(0x76, amqp.sequence([self.make_value()])),
                    amqp.described(0x77, self.make_value()),
                    self._make_map(),
                ]
            ),
        ]
        *before, body = sections
        chosen = [section for section in before if self.random.random() < 0.5]
        return b"".join([*chosen, body] if self.random.random() < 0.9 else chosen)

    def _make_map(self) -> bytes:
        keys = ["a", "x-opt-partition-key", "x-opt-offset", "operation", "name", "type"]
        chosen = self.random.sample(keys, self.random.randint(0, 3))
        return amqp.mapping((amqp.string(key), self._make_property(key)) for key in chosen)

    def _make_property(self, name: str) -> bytes:
        is_plausible = name == "x-opt-partition-key" and self.random.random() < 0.9
        return amqp.string("vehicle-7") if is_plausible else self.make_value(1)

    def _flow(self) -> bytes:
        pick = self.random.choice
        return performative_encoder.flow(
            next_incoming_id=pick(_NUMBERS),
            incoming_window=pick(_NUMBERS),
            next_outgoing_id=pick(_NUMBERS),
            link=pick([None, (pick([0, 1, 9]), pick(_NUMBERS), pick(_NUMBERS))]),
        )

    def _detach(self) -> bytes:
        return performative_encoder.detach(self.random.choice([0, 1, 7]))

    def _end(self) -> bytes:
        return performative_encoder.end()

    def _begin(self) -> bytes:
        return performative(0x11, amqp.NULL, *[amqp.uint(self.random.choice(_NUMBERS)) for _ in range(3)])

    def _make_anything(self) -> bytes:
        return performative(self.random.randrange(0x10, 0x46), *(self.make_value(1) for _ in range(5)))

    def _spoil(self, piece: bytes) -> bytes:
        if not piece:
            return self.random.randbytes(8)
        raw, at = bytearray(piece), self.random.randrange(len(piece))
        match self.random.randrange(6):
            case 0:
                raw[at] = self.random.choice(_BYTES)
            case 1:
                raw[at] ^= 1 << self.random.randrange(8)
            case 2:
                del raw[at : at + self.random.randint(1, 8)]
            case 3:
                raw[at:at] = self.random.randbytes(self.random.randint(1, 8))
            case 4:
                raw[at : at + 4] = self.random.choice(_NUMBERS).to_bytes(4, "big")
            case 5:
                raw += raw[at:]
        return bytes(raw)

    def _cut(self, stream: bytes) -> list[bytes]:
        """Cut the stream as TCP might: into one piece, a few pieces, or single bytes."""
        size = self.random.choice([len(stream), len(stream), 700, 13, 1]) or 1
        return [stream[start : start + size] for start in range(0, len(stream), size)]


def performative(code: int, *fields: bytes) -> bytes:
    return amqp.described(code, amqp.sequence(fields))
