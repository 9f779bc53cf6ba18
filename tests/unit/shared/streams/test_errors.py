"""The SDK's errors as ours; each is made by the SDK itself."""

import pytest
from azure.eventhub._pyamqp import error as amqp
from azure.eventhub._transport._pyamqp_transport import PyamqpTransport

from shared.service.errors import Missing, Refused, SourceUnavailable
from shared.streams.event_hubs.errors import map_error

RAN_OUT = amqp.TokenExpired(
    condition=amqp.ErrorCondition.InternalError, description="CBS Authentication Expired."
)
SILENT = amqp.AuthenticationException(amqp.ErrorCondition.InternalError, description="Authorization timeout.")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RAN_OUT, SourceUnavailable),
        (SILENT, SourceUnavailable),
        (amqp.TokenAuthFailure(None, None), SourceUnavailable),
        (amqp.TokenAuthFailure(0, "Auth message has been rejected."), SourceUnavailable),
        (amqp.TokenAuthFailure(500, b"InternalServerError"), SourceUnavailable),
        (amqp.TokenAuthFailure(401, b"InvalidSignature: The token has an invalid signature."), Refused),
        (amqp.TokenAuthFailure(404, b"The messaging entity 'sb://x/y' could not be found."), Missing),
        (PyamqpTransport.get_error(401, "Unauthorized"), Refused),
    ],
)
def test_only_an_answer_of_the_hub_is_a_refusal(error, kind):
    """A token that ran out, and a hub that is silent, pass with a new link; a refused token may not."""
    mapped = map_error(PyamqpTransport._create_eventhub_exception(error), "telemetry", "ingest")
    assert type(mapped) is kind
