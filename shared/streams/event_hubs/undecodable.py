"""A guard for messages that the SDK cannot decode.

The SDK decodes a message in the middle of reading a frame. If that fails, it reopens the link before the
message, for ever: one event stops its partition for every reader. An AMQP decimal in an application property
is enough [azure-eventhub 5.15.1, `_decode_decimal128`].
"""

from typing import Any

import structlog
from azure.eventhub._pyamqp.message import Message

from shared.amqp.decoder import DecodeError
from shared.amqp.sections import DATA, MESSAGE_ANNOTATIONS, decode_sections
from shared.streams.amqp_values import Undecodable
from shared.streams.event import ENQUEUED_TIME, OFFSET, SEQUENCE_NUMBER
from shared.streams.poison import POISONED

log = structlog.get_logger()


def guard_decoding(consumer: Any) -> None:
    """Make one of the SDK's consumers deliver a message that it cannot decode as an `Undecodable` body.

    This relies on private names of the SDK [azure-eventhub 5.15.1, `ReceiverLink._incoming_transfer`].
    """
    create = consumer._create_handler

    def create_guarded(auth: Any) -> None:
        create(auth)
        handler = consumer._handler
        is_ready = handler._client_ready_async
        guarded: list[Any] = [None]

        async def is_ready_and_guarded() -> bool:
            ready: bool = await is_ready()
            link = handler._link
            if link is not None and link is not guarded[0]:  # new links have no credit until they are ready
                guarded[0] = link
                _guard_link(link, consumer._client.eventhub_name, consumer._partition)
            return ready

        handler._client_ready_async = is_ready_and_guarded

    consumer._create_handler = create_guarded


def _guard_link(link: Any, hub: str, partition_id: str) -> None:
    receive = link._incoming_transfer

    async def receive_any(frame: Any) -> None:
        try:
            await receive(frame)
        except Exception as error:
            # Frames: 5 is `more`, 11 the payload. The callback's own errors do not come here.
            if frame[5]:
                raise
            payload = bytes(link._received_payload or frame[11])
            link._received_payload = bytearray()
            message = _read_undecodable(payload, error)
            if message is None:
                raise
            POISONED.labels(hub).inc()
            log.error(  # noqa: TRY400 - a traceback of the SDK helps nobody
                "event_poisoned",
                hub=hub,
                partition=int(partition_id),
                sequence_number=message.message_annotations[SEQUENCE_NUMBER],  # type: ignore[index]
                reason=str(message.value.reason),  # type: ignore[union-attr]
            )
            await link._process_incoming_message(link._first_frame, message)

    link._incoming_transfer = receive_any


def _read_undecodable(payload: bytes, error: Exception) -> Message | None:
    """Return a message with the place of the event in `payload`, whose body is `Undecodable`.

    The body is the event's data or, if it has none, the whole encoded message. Return None if the payload has
    no place: then it is not the message that is at fault.
    """
    try:
        sections = list(decode_sections(payload))
    except DecodeError:
        return None
    annotations: dict[str, Any] = next((value for code, value in sections if code == MESSAGE_ANNOTATIONS), {})
    try:
        numbers = (SEQUENCE_NUMBER, ENQUEUED_TIME)
        place: dict[str | bytes, Any] = {name: annotations[name.decode()] for name in numbers}
        place[OFFSET] = annotations[OFFSET.decode()].encode()
    except KeyError:
        return None
    data = b"".join(value for code, value in sections if code == DATA)
    reason = f"poison: the SDK cannot decode the event: {type(error).__name__}"
    return Message(message_annotations=place, value=Undecodable(data or payload, reason))
