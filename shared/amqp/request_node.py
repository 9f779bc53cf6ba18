"""Nodes that answer requests: the answer goes to the receiving link of the same session and address."""

from abc import ABC, abstractmethod

from services.emulator.event_hubs import event_cutter as messages
from services.emulator.event_hubs import refusals
from services.emulator.event_hubs.refusals import Refusal
from shared.amqp.decoder import DecodeError
from shared.amqp.link import Delivery, IncomingLink, OutgoingLink

# Requests come before anyone has proved who they are; no token is longer.
MAX_REQUEST_BYTES = 64 * 1024


class AnswerSource:
    """The other end of a request node: it waits for nothing and holds nothing."""

    def __init__(self, address: str) -> None:
        self.address = address

    def credit_changed(self) -> None:
        """Answers do not wait for credit."""

    def closed(self) -> None:
        """Nothing to let go of."""


class RequestNode(ABC):
    address: str

    def __init__(self, link: IncomingLink) -> None:
        self.link = link
        link.max_message_bytes = MAX_REQUEST_BYTES

    @abstractmethod
    def answer(self, request: messages.Request) -> bytes:
        """The whole message that answers `request`."""

    def deliver(self, delivery: Delivery) -> None:
        try:
            request = messages.request(delivery.payload)
        except DecodeError as exc:
            self.link.settle(delivery, Refusal(refusals.DECODE_ERROR, str(exc)))
            return
        self.respond(delivery, request)

    def respond(self, delivery: Delivery, request: messages.Request) -> None:
        """Answer, in whatever way the node chooses."""
        self.reply(delivery, request, self.answer(request))

    def reply(self, delivery: Delivery, request: messages.Request, answer: bytes) -> None:
        # The disposition first: the SDK forgets the request when it comes after the answer.
        self.link.settle(delivery)
        if receiver := self._receiver(request.reply_to):
            receiver.send(answer)

    def _receiver(self, reply_to: str | None) -> OutgoingLink | None:
        candidates = [
            link
            for link in self.link.session.links
            if isinstance(link, OutgoingLink)
            and link.is_open
            and isinstance(link.node, AnswerSource)
            and link.node.address == self.address
        ]
        named = [link for link in candidates if reply_to and link.target_address == reply_to]
        return next(iter(named or candidates), None)

    def closed(self) -> None:  # noqa: B027  # nothing to let go of, in either node
        """Nothing to let go of."""
