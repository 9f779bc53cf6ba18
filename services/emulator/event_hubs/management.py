"""`$management`: what a hub and its partitions are like at this moment."""

from services.emulator.event_hubs import conditions, messages
from services.emulator.event_hubs import encoding as amqp
from services.emulator.event_hubs.hubs import Hub
from services.emulator.event_hubs.request_node import RequestNode

HUB_TYPE = "com.microsoft:eventhub"
PARTITION_TYPE = "com.microsoft:partition"
# 0001-01-01: what the SDKs read as "never".
NEVER_MS = -62_135_596_800_000

_OK = 200
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_NOT_FOUND = 404


class ManagementNode(RequestNode):
    address = "$management"

    def answer(self, request: messages.Request) -> bytes:
        name, kind = request.properties.get("name"), request.properties.get("type")
        if request.properties.get("operation") != "READ" or not isinstance(name, str):
            return messages.response(request, _BAD_REQUEST, "READ of a named entity is expected.", amqp.NULL)
        connection = self.link.session.connection
        if not connection.may_read_properties(name):
            refusal = conditions.unauthorized("Listen", name)
            return messages.response(
                request, _UNAUTHORIZED, refusal.description, amqp.NULL, condition=refusal.condition
            )
        hub = connection.namespace.hubs.find(name)
        found = None
        if hub is not None and kind == HUB_TYPE:
            found = _hub(hub)
        elif hub is not None and kind == PARTITION_TYPE:
            partition = hub.partition(str(request.properties.get("partition")))
            found = None if partition is None else _partition(hub, partition)
        if found is None:
            refusal = conditions.entity_not_found(name)
            return messages.response(
                request, _NOT_FOUND, refusal.description, amqp.NULL, condition=refusal.condition
            )
        return messages.response(request, _OK, "OK", found)


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
