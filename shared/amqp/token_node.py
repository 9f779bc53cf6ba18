"""`$cbs`: a client proves who it is before anything else works on its connection."""

from services.emulator.event_hubs import bearer
from services.emulator.event_hubs import event_cutter as messages
from services.emulator.event_hubs.sas import TOKEN_TYPE, Grant, TokenRefused
from shared.amqp import encoder as amqp
from shared.amqp.request_node import RequestNode

_ACCEPTED = 202
_BAD_REQUEST = 400
_UNAUTHORIZED = 401


class TokenNode(RequestNode):
    address = "$cbs"

    def answer(self, request: messages.Request) -> bytes:
        operation, audience = request.properties.get("operation"), request.properties.get("name")
        if operation != "put-token" or not isinstance(audience, str) or not isinstance(request.body, str):
            return messages.response(
                request, _BAD_REQUEST, "put-token with a name and a token is expected.", amqp.NULL
            )
        try:
            grant = self._grant(str(request.properties.get("type")), request.body, audience)
        except TokenRefused as refused:
            return self._refused(request, str(refused))
        self.link.session.connection.admit(grant)
        return messages.response(request, _ACCEPTED, "Accepted", amqp.NULL)

    def _grant(self, kind: str, token: str, audience: str) -> Grant:
        namespace = self.link.session.connection.namespace
        if kind == TOKEN_TYPE:
            return namespace.keys.grant(token, audience, namespace.now_s())
        if kind.lower() in bearer.TOKEN_TYPES:
            return bearer.grant_of(namespace.issuer, token, audience)
        raise TokenRefused(f"only tokens of the types {TOKEN_TYPE} and jwt are accepted")

    def _refused(self, request: messages.Request, reason: str) -> bytes:
        # One bad token and the connection can do nothing any more, whatever it could before.
        self.link.session.connection.grants.clear()
        return messages.response(request, _UNAUTHORIZED, reason, amqp.NULL)
