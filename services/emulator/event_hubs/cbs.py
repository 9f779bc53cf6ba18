"""`$cbs`: a client proves who it is before anything else works on its connection."""

from services.emulator.event_hubs import encoding as amqp
from services.emulator.event_hubs import messages
from services.emulator.event_hubs.request_node import RequestNode
from services.emulator.event_hubs.sas import TOKEN_TYPE, TokenRefused

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
        if request.properties.get("type") != TOKEN_TYPE:
            return self._refused(request, f"only tokens of the type {TOKEN_TYPE} are accepted")
        connection = self.link.session.connection
        try:
            namespace = connection.namespace
            connection.grants.append(namespace.keys.grant(request.body, audience, namespace.now_s()))
        except TokenRefused as refused:
            return self._refused(request, str(refused))
        return messages.response(request, _ACCEPTED, "Accepted", amqp.NULL)

    def _refused(self, request: messages.Request, reason: str) -> bytes:
        # One bad token and the connection can do nothing any more, whatever it could before.
        self.link.session.connection.grants.clear()
        return messages.response(request, _UNAUTHORIZED, reason, amqp.NULL)
