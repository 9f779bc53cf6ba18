"""Refusals: an AMQP error condition and the sentence that explains it. Pure: no I/O."""

from collections.abc import Callable
from dataclasses import dataclass

# The standard's conditions (AMQP 1.0, 2.8.15 to 2.8.18).
NOT_FOUND = "amqp:not-found"
UNAUTHORIZED = "amqp:unauthorized-access"
RESOURCE_LIMIT = "amqp:resource-limit-exceeded"
DECODE_ERROR = "amqp:decode-error"
NOT_ALLOWED = "amqp:not-allowed"
INVALID_FIELD = "amqp:invalid-field"
INTERNAL_ERROR = "amqp:internal-error"
CONNECTION_FORCED = "amqp:connection:forced"
FRAMING_ERROR = "amqp:connection:framing-error"
HANDLE_IN_USE = "amqp:session:handle-in-use"
MESSAGE_SIZE = "amqp:link:message-size-exceeded"
LINK_STOLEN = "amqp:link:stolen"
DETACH_FORCED = "amqp:link:detach-forced"


class Refusal(Exception):
    """An operation is declined, for the reason given by an AMQP condition and a description."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(f"{condition}: {description}")
        self.condition = condition
        self.description = description


def _idle(idle_s: float, container_id: str) -> Refusal:
    return Refusal(CONNECTION_FORCED, f"{container_id} received nothing for {idle_s:g} seconds.")


def _message_too_large(delivery_id: int, size_bytes: int, limit_bytes: int) -> Refusal:
    return Refusal(
        MESSAGE_SIZE, f"Delivery {delivery_id} has {size_bytes} bytes; the link accepts {limit_bytes}."
    )


@dataclass(frozen=True, slots=True)
class RefusalTable:
    """The refusals whose wording an application may choose because its clients read the description."""

    idle: Callable[[float, str], Refusal] = _idle  # idle time in seconds, container id
    message_too_large: Callable[[int, int, int], Refusal] = _message_too_large  # delivery id, size, limit
