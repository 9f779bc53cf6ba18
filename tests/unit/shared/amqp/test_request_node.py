import uuid

import pytest
from azure.eventhub._pyamqp._decode import decode_payload

from shared.amqp import encoder as amqp
from shared.amqp.request_node import decode_request, encode_response


@pytest.mark.parametrize("message_id", [uuid.UUID(int=5), "text", b"bytes", 7])
def test_answers_carry_the_requests_id(message_id):
    """An answer's correlation id has the type of the request's message id."""
    encode = {uuid.UUID: amqp.uuid, str: amqp.string, bytes: amqp.binary, int: amqp.ulong}[type(message_id)]
    message = amqp.described(0x73, amqp.sequence([encode(message_id)])) + amqp.described(
        0x77, amqp.string("body")
    )
    request = decode_request(message)
    assert (request.message_id, request.body) == (message_id, "body")
    answer = decode_payload(memoryview(encode_response(request, 202, "Accepted", amqp.NULL)))
    expected = message_id.encode() if isinstance(message_id, str) else message_id
    assert answer.properties.correlation_id == expected
    assert answer.application_properties == {b"status-code": 202, b"status-description": b"Accepted"}
