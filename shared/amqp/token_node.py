"""`$cbs`: a peer puts tokens for the addresses that it will use.

This follows AMQP Claims-based Security 1.0. Pure: no I/O.
"""

from typing import Protocol

from shared.amqp import encoder as amqp
from shared.amqp.application import AuthenticationFailed
from shared.amqp.link import IncomingLink
from shared.amqp.request_node import Request, RequestNode, encode_response

ADDRESS = "$cbs"
_BAD_REQUEST = 400


class TokenAuthenticator(Protocol):
    """The part of an application that checks the tokens of one connection."""

    # The status of an accepted token: 202 for Event Hubs, 200 for IoT Hub.
    accepted_status: int

    def put_token(self, kind: str, audience: str, token: str) -> None:
        """Allow what the token grants on `audience`.

        Raises AuthenticationFailed if the token is not accepted.
        """
        ...


class TokenNode(RequestNode):
    address = ADDRESS

    def __init__(self, link: IncomingLink, authenticator: TokenAuthenticator) -> None:
        super().__init__(link)
        self._authenticator = authenticator

    def answer(self, request: Request) -> bytes:
        operation, audience = request.properties.get("operation"), request.properties.get("name")
        if operation != "put-token" or not isinstance(audience, str) or not isinstance(request.body, str):
            return encode_response(
                request, _BAD_REQUEST, "put-token with a name and a token is expected.", amqp.NULL
            )
        try:
            self._authenticator.put_token(str(request.properties.get("type")), audience, request.body)
        except AuthenticationFailed as exc:
            return encode_response(request, exc.status, str(exc), amqp.NULL)
        return encode_response(request, self._authenticator.accepted_status, "Accepted", amqp.NULL)
