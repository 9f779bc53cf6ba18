"""The refusals of Event Hubs, with the service's exact texts.

The SDKs choose their typed errors by condition and text.
"""

from shared.amqp.refusal import (
    CONNECTION_FORCED,
    DETACH_FORCED,
    INTERNAL_ERROR,
    LINK_STOLEN,
    MESSAGE_SIZE,
    NOT_FOUND,
    RESOURCE_LIMIT,
    UNAUTHORIZED,
    Refusal,
    RefusalTable,
)

ARGUMENT_ERROR = "com.microsoft:argument-error"
SERVER_BUSY = "com.microsoft:server-busy"
TIMEOUT = "com.microsoft:timeout"

_THROTTLED = (
    "The request was terminated because the entity is being throttled. Error code : 50002. "
    "Please wait 4 seconds and try again. To know more visit https://aka.ms/sbResourceMgrExceptions"
)
# The texts of the conditions that injected faults most often use.
_DESCRIPTIONS = {
    SERVER_BUSY: _THROTTLED,
    TIMEOUT: "The operation did not complete within the allocated time.",
    INTERNAL_ERROR: "The service was unable to process the request; please retry the operation.",
    DETACH_FORCED: "The link was detached by an injected fault.",
    CONNECTION_FORCED: "The connection was closed by an injected fault.",
}


def entity_not_found(address: str) -> Refusal:
    return Refusal(
        NOT_FOUND,
        f"The messaging entity '{address}' could not be found. "
        "To know more visit https://aka.ms/sbResourceMgrExceptions.",
    )


def unauthorized(claim: str, resource: str) -> Refusal:
    return Refusal(
        UNAUTHORIZED,
        f"Unauthorized access. '{claim}' claim(s) are required to perform this operation. "
        f"Resource: '{resource}'.",
    )


def lapsed(reason: str, claim: str, resource: str) -> Refusal:
    refusal = unauthorized(claim, resource)
    return Refusal(refusal.condition, f"{reason} {refusal.description}")


def _idle(idle_s: float, container_id: str) -> Refusal:
    return Refusal(
        CONNECTION_FORCED,
        f"The connection was inactive for more than the allowed {idle_s * 1000:.0f} milliseconds "
        f"and is closed by container '{container_id}'.",
    )


def _message_too_large(delivery_id: int, size_bytes: int, limit_bytes: int) -> Refusal:
    return Refusal(
        MESSAGE_SIZE,
        f"The received message (delivery-id:{delivery_id}, size:{size_bytes} bytes) exceeds the limit "
        f"({limit_bytes} bytes) currently allowed on the link.",
    )


def too_many_readers(limit: int) -> Refusal:
    return Refusal(
        RESOURCE_LIMIT,
        "Exceeded the maximum number of allowed receivers per partition in a consumer group "
        f"which is {limit}.",
    )


def stolen(name: str, epoch: int, by_name: str, by_epoch: int) -> Refusal:
    return Refusal(
        LINK_STOLEN,
        f"New receiver '{by_name}' with higher epoch of '{by_epoch}' is created hence current receiver "
        f"'{name}' with epoch '{epoch}' is getting disconnected. If you are recreating the receiver, "
        "make sure a higher epoch is used.",
    )


def epoch_too_low(name: str, epoch: int, held: int) -> Refusal:
    return Refusal(
        LINK_STOLEN,
        f"Receiver '{name}' with epoch '{epoch}' cannot be created: a receiver with the higher epoch "
        f"'{held}' already exists. Make sure you are creating receivers with increasing epoch values.",
    )


def epoch_required(name: str, held: int) -> Refusal:
    return Refusal(
        LINK_STOLEN,
        f"At least one receiver for the endpoint is created with epoch of '{held}', and so non-epoch "
        f"receiver '{name}' is not allowed. Either reconnect with a higher epoch, or make sure all epoch "
        "receivers are closed or disconnected.",
    )


def throttled() -> Refusal:
    """Return the refusal for a delivery that exceeds the namespace's throughput units."""
    return Refusal(SERVER_BUSY, _THROTTLED)


def injected_description(condition: str) -> str:
    return _DESCRIPTIONS.get(condition, "Refused by an injected fault.")


TABLE = RefusalTable(idle=_idle, message_too_large=_message_too_large)
