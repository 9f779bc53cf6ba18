"""`$management`: what a hub and its partitions are like at this moment."""

from functools import partial

from services.emulator.event_hubs import event_cutter as messages
from services.emulator.event_hubs import refusals
from services.emulator.event_hubs.faults import Fault, Place
from services.emulator.event_hubs.hubs import Hub
from services.emulator.event_hubs.refusals import Refusal
from shared.amqp import encoder as amqp
from shared.amqp.link import Delivery
from shared.amqp.request_node import RequestNode

HUB_TYPE = "com.microsoft:eventhub"
PARTITION_TYPE = "com.microsoft:partition"
# 0001-01-01: what the SDKs read as "never".
NEVER_MS = -62_135_596_800_000

_OK = 200
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_NOT_FOUND = 404
_INTERNAL_ERROR = 500
# How the conditions that faults are asked for look as an answer's status.
_STATUS_OF = {
    refusals.UNAUTHORIZED: _UNAUTHORIZED,
    refusals.NOT_FOUND: _NOT_FOUND,
    refusals.RESOURCE_LIMIT: 403,
    refusals.TIMEOUT: 408,
    refusals.SERVER_BUSY: 503,
}


class ManagementNode(RequestNode):
    address = "$management"

    def respond(self, delivery: Delivery, request: messages.Request) -> None:
        fault = self._fault(request)
        if fault is None:
            super().respond(delivery, request)
        elif fault.kind == "delay":
            late = partial(super().respond, delivery, request)
            loop = self.link.session.connection.loop
            loop.call_later(fault.delay_s, lambda: late() if self.link.is_open else None)
        else:
            refusal = fault.refusal()
            status = _STATUS_OF.get(refusal.condition, _INTERNAL_ERROR)
            self.reply(delivery, request, _refused(request, status, refusal))

    def _fault(self, request: messages.Request) -> Fault | None:
        faults = self.link.session.connection.namespace.faults
        if not faults.is_armed:
            return None
        partition = str(request.properties.get("partition"))
        number = int(partition) if partition.isascii() and partition.isdecimal() else None
        return faults.take("management", Place(str(request.properties.get("name")), number))

    def answer(self, request: messages.Request) -> bytes:
        name, kind = request.properties.get("name"), request.properties.get("type")
        if request.properties.get("operation") != "READ" or not isinstance(name, str):
            return messages.response(request, _BAD_REQUEST, "READ of a named entity is expected.", amqp.NULL)
        connection = self.link.session.connection
        if not connection.grants.reach_hub(name):
            refusal = refusals.unauthorized("Listen", name)
            return _refused(request, _UNAUTHORIZED, refusal)
        hub = connection.namespace.hubs.find(name)
        found = None
        if hub is not None and kind == HUB_TYPE:
            found = _hub(hub)
        elif hub is not None and kind == PARTITION_TYPE:
            partition = hub.partition(str(request.properties.get("partition")))
            found = None if partition is None else _partition(hub, partition)
        if found is None:
            refusal = refusals.entity_not_found(name)
            return _refused(request, _NOT_FOUND, refusal)
        return messages.response(request, _OK, "OK", found)


def _refused(request: messages.Request, status: int, refusal: Refusal) -> bytes:
    return messages.response(request, status, refusal.description, amqp.NULL, condition=refusal.condition)


def _hub(hub: Hub) -> bytes:
    description = hub.description
    return _map(
        {
            "name": amqp.string(hub.name),
            "type": amqp.string(HUB_TYPE),
            "created_at": amqp.timestamp(description.created_at_ms),
            "partition_count": amqp.integer(description.partition_count),
            "partition_ids": amqp.strings(str(number) for number in range(description.partition_count)),
        }
    )


def _partition(hub: Hub, partition: int) -> bytes:
    state = hub.logs[partition].state()
    last_ms = NEVER_MS if state.last_enqueued_ms is None else state.last_enqueued_ms
    return _map(
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


def _map(entries: dict[str, bytes]) -> bytes:
    return amqp.mapping((amqp.string(key), value) for key, value in entries.items())
