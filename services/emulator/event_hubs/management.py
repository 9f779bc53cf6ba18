"""`$management`: requests for the current properties of a hub and its partitions."""

import asyncio
from functools import partial

from services.emulator.event_hubs import refusals
from services.emulator.event_hubs.authorizations import Authorizations
from services.emulator.event_hubs.faults import Fault, Place
from services.emulator.event_hubs.hubs import Hub
from services.emulator.event_hubs.namespace import Namespace
from shared.amqp import encoder as amqp
from shared.amqp.link import Delivery, IncomingLink
from shared.amqp.refusal import NOT_FOUND, RESOURCE_LIMIT, UNAUTHORIZED, Refusal
from shared.amqp.request_node import Request, RequestNode, encode_response

HUB_TYPE = "com.microsoft:eventhub"
PARTITION_TYPE = "com.microsoft:partition"
# 0001-01-01, which the SDKs read as "never".
NEVER_MS = -62_135_596_800_000

_OK = 200
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_NOT_FOUND = 404
_INTERNAL_ERROR = 500
# The status of an answer for the condition of an injected fault.
_STATUS_OF = {
    UNAUTHORIZED: _UNAUTHORIZED,
    NOT_FOUND: _NOT_FOUND,
    RESOURCE_LIMIT: 403,
    refusals.TIMEOUT: 408,
    refusals.SERVER_BUSY: 503,
}


class ManagementNode(RequestNode):
    address = "$management"

    def __init__(self, link: IncomingLink, namespace: Namespace, authorizations: Authorizations) -> None:
        super().__init__(link)
        self._namespace = namespace
        self._authorizations = authorizations

    def respond(self, delivery: Delivery, request: Request) -> None:
        fault = self._consume_fault(request)
        if fault is None:
            super().respond(delivery, request)
        elif fault.kind == "delay":
            late = partial(super().respond, delivery, request)
            asyncio.get_running_loop().call_later(
                fault.delay_s, lambda: late() if self.link.is_open else None
            )
        else:
            refusal = fault.refusal()
            status = _STATUS_OF.get(refusal.condition, _INTERNAL_ERROR)
            self.reply(delivery, _encode_refusal(request, status, refusal), request.reply_to)

    def _consume_fault(self, request: Request) -> Fault | None:
        faults = self._namespace.faults
        if not faults.is_armed:
            return None
        partition = str(request.properties.get("partition"))
        number = int(partition) if partition.isascii() and partition.isdecimal() else None
        return faults.consume("management", Place(str(request.properties.get("name")), number))

    def answer(self, request: Request) -> bytes:
        name, kind = request.properties.get("name"), request.properties.get("type")
        if request.properties.get("operation") != "READ" or not isinstance(name, str):
            return encode_response(request, _BAD_REQUEST, "READ of a named entity is expected.", amqp.NULL)
        if not self._authorizations.reaches_hub(name):
            return _encode_refusal(request, _UNAUTHORIZED, refusals.unauthorized("Listen", name))
        hub = self._namespace.hubs.find(name)
        found = None
        if hub is not None and kind == HUB_TYPE:
            found = _encode_hub(hub)
        elif hub is not None and kind == PARTITION_TYPE:
            partition = hub.partition(str(request.properties.get("partition")))
            found = None if partition is None else _encode_partition(hub, partition)
        if found is None:
            return _encode_refusal(request, _NOT_FOUND, refusals.entity_not_found(name))
        return encode_response(request, _OK, "OK", found)


def _encode_refusal(request: Request, status: int, refusal: Refusal) -> bytes:
    return encode_response(request, status, refusal.description, amqp.NULL, condition=refusal.condition)


def _encode_hub(hub: Hub) -> bytes:
    description = hub.description
    return _encode_map(
        {
            "name": amqp.string(hub.name),
            "type": amqp.string(HUB_TYPE),
            "created_at": amqp.timestamp(description.created_at_ms),
            "partition_count": amqp.integer(description.partition_count),
            "partition_ids": amqp.strings(str(number) for number in range(description.partition_count)),
        }
    )


def _encode_partition(hub: Hub, partition: int) -> bytes:
    state = hub.logs[partition].state()
    last_ms = NEVER_MS if state.last_enqueued_ms is None else state.last_enqueued_ms
    return _encode_map(
        {
            "name": amqp.string(hub.name),
            "type": amqp.string(PARTITION_TYPE),
            "partition": amqp.string(str(partition)),
            "begin_sequence_number": amqp.long(state.begin_sequence_number),
            "last_enqueued_sequence_number": amqp.long(state.last_sequence_number),
            "last_enqueued_offset": amqp.string(state.last_offset),
            "last_enqueued_time_utc": amqp.timestamp(last_ms),
            "is_partition_empty": amqp.boolean(state.is_empty),
        }
    )


def _encode_map(entries: dict[str, bytes]) -> bytes:
    return amqp.mapping((amqp.string(key), value) for key, value in entries.items())
