import math
import uuid
from datetime import UTC, datetime

import pytest
from azure.eventhub.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
MOMENT_MS = int(MOMENT.timestamp() * 1000)
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


def encode_typed(kind, value):
    """A value with the AMQP type that the SDK shall send."""
    return {"TYPE": kind, "VALUE": value}


# No decimals: this version of the SDK cannot read what it writes. The unit tests show that they are kept.
SENT_AND_READ = {
    "null": (None, None),
    "true": (True, True),
    "false": (False, False),
    "ubyte": (encode_typed("UBYTE", 255), 255),
    "ushort": (encode_typed("USHORT", 65535), 65535),
    "uint, none": (encode_typed("UINT", 0), 0),
    "uint, small": (encode_typed("UINT", 255), 255),
    "uint": (encode_typed("UINT", 2**32 - 1), 2**32 - 1),
    "ulong, none": (encode_typed("ULONG", 0), 0),
    "ulong": (encode_typed("ULONG", 2**64 - 1), 2**64 - 1),
    "byte": (encode_typed("BYTE", -128), -128),
    "short": (encode_typed("SHORT", -32768), -32768),
    "int, small": (encode_typed("INT", -128), -128),
    "int": (encode_typed("INT", -(2**31)), -(2**31)),
    "long, small": (encode_typed("LONG", 127), 127),
    "long": (encode_typed("LONG", -(2**63)), -(2**63)),
    "float": (encode_typed("FLOAT", 1.5), 1.5),
    "double": (math.pi, math.pi),
    "double, infinite": (math.inf, math.inf),
    "timestamp": (MOMENT, MOMENT_MS),
    "timestamp, before 1970": (encode_typed("TIMESTAMP", -1), -1),
    "uuid": (ID, ID),
    "binary": (bytes(range(256)), bytes(range(256))),
    "string": ("ü€𝄞", "ü€𝄞".encode()),
    "string, long": ("x" * 300, b"x" * 300),
    "symbol": (encode_typed("SYMBOL", b"sym"), b"sym"),
    "list": ([1, "two", None], [1, b"two", None]),
    "list, empty": ([], []),
    "map": ({"a": 1, "b": {"c": [True, {"d": 2.5}]}}, {b"a": 1, b"b": {b"c": [True, {b"d": 2.5}]}}),
    "map, empty": ({}, {}),
}


@pytest.fixture
def values():
    return {name: sent for name, (sent, _) in SENT_AND_READ.items()}


async def test_application_properties_of_every_type_arrive(sdk, values):
    """A property of any type reaches the reader, in a single event and in a batch."""
    for number in range(2):
        message = AmqpAnnotatedMessage(data_body=b"", application_properties=values)
        async with sdk.producer() as producer:
            if number:
                await producer.send_batch([message], partition_id="0")
            else:
                await producer.send_event(message, partition_id="0")
    expected = {name.encode(): read for name, (_, read) in SENT_AND_READ.items()}
    for event in await sdk.receive(2):
        assert event.properties == expected


async def test_bodies_of_every_type_arrive(sdk):
    """A body may be any value, not only bytes."""
    # In a body the SDK chooses the type itself; what Python takes for false it leaves out: no message.
    cases = [
        (sent, read)
        for sent, read in SENT_AND_READ.values()
        if sent and not (isinstance(sent, dict) and "TYPE" in sent)
    ]
    await sdk.send(*(AmqpAnnotatedMessage(value_body=sent) for sent, _ in cases), partition_id="0")
    for event, (_, read) in zip(await sdk.receive(len(cases)), cases, strict=True):
        assert event.body_type is AmqpMessageBodyType.VALUE
        assert event.body == read


async def test_sequences_and_several_data_sections_arrive(sdk):
    """A body may be sections of bytes, or of lists, and stays cut as it was."""
    await sdk.send(
        AmqpAnnotatedMessage(sequence_body=[[1, "a"], [None, {"k": 2.5}]]),
        AmqpAnnotatedMessage(data_body=[b"one", b"", b"two"]),
        partition_id="0",
    )
    sequence, data = await sdk.receive(2)
    assert sequence.body_type is AmqpMessageBodyType.SEQUENCE
    assert list(sequence.body) == [[1, b"a"], [None, {b"k": 2.5}]]
    assert list(data.body) == [b"one", b"", b"two"]


async def test_what_is_said_about_a_message_arrives(sdk):
    """Header, every standard property, own annotations and footer come through; the service adds its own."""
    properties = {
        "message_id": "id",
        "user_id": b"user",
        "to": "to",
        "subject": "subject",
        "reply_to": "reply",
        "correlation_id": ID,
        "content_type": "text/plain",
        "content_encoding": "utf-8",
        "absolute_expiry_time": MOMENT_MS + 1,
        "creation_time": MOMENT_MS,
        "group_id": "group",
        "group_sequence": 7,
        "reply_to_group_id": "reply-group",
    }
    header = {"durable": True, "priority": 9, "first_acquirer": True}
    message = AmqpAnnotatedMessage(
        data_body=b"x",
        header=header,
        properties=properties,
        annotations={"x-own": "mine", "x-opt-sequence-number": 99},
        footer={"sum": 3},
    )
    await sdk.send(message)
    [event] = await sdk.receive(1)
    raw = event.raw_amqp_message
    texts = {name: value.encode() if isinstance(value, str) else value for name, value in properties.items()}
    assert {name: getattr(raw.properties, name) for name in properties} == texts
    assert {name: getattr(raw.header, name) for name in header} == header
    assert raw.footer == {b"sum": 3}
    assert raw.annotations[b"x-own"] == b"mine"
    assert raw.annotations[b"x-opt-sequence-number"] == event.sequence_number == 0
    assert raw.annotations[b"x-opt-offset"] == event.offset.encode()
    assert isinstance(raw.annotations[b"x-opt-enqueued-time"], int)


@pytest.mark.parametrize("message_id", ["text", b"bytes", 7, 2**64 - 1, ID], ids=repr)
async def test_ids_keep_their_type(sdk, message_id):
    """A message's id may be a text, bytes, a number or a UUID, and comes back as that."""
    await sdk.send(AmqpAnnotatedMessage(data_body=b"", properties={"message_id": message_id}))
    [event] = await sdk.receive(1)
    read = event.raw_amqp_message.properties.message_id
    assert read == (message_id.encode() if isinstance(message_id, str) else message_id)
    assert type(read) is (bytes if isinstance(message_id, str) else type(message_id))
