"""The start position of a reader: the filter of its link, and the offset in the log that it denotes."""

import re
from typing import Any, NamedTuple

from services.emulator.event_hubs.refusals import ARGUMENT_ERROR
from services.emulator.log import annotations
from services.emulator.log.partition_log import PartitionLog
from shared.amqp.decoder import Described
from shared.amqp.refusal import NOT_ALLOWED, Refusal

FILTER = "apache.org:selector-filter:string"
EARLIEST = "-1"
LATEST = "@latest"

_SELECTOR = re.compile(r"amqp\.annotation\.(x-opt-[a-z-]+)\s*(>=|>)\s*'([^']*)'")
_FILTERS_FIELD = 7


class StartPosition(NamedTuple):
    annotation: str
    is_inclusive: bool
    value: str


def parse_start_position(source: object) -> StartPosition:
    """Parse the filter of a link's source; without a filter, all events of the partition are sent.

    The SDK's own tests of the service show that [azure-eventhub 5.15.1, `tests/livetest`]. Raises Refusal if
    a filter is not a position.
    """
    filters = _filters(source)
    if not filters:
        return StartPosition(annotations.OFFSET, is_inclusive=False, value=EARLIEST)
    selector = filters.get(FILTER)
    if isinstance(selector, Described):
        selector = selector.value
    match = _SELECTOR.fullmatch(selector.strip()) if isinstance(selector, str) else None
    if match is None or match[1] not in annotations.SERVICE_ANNOTATIONS:
        given = selector if isinstance(selector, str) else ", ".join(map(str, filters))
        raise Refusal(NOT_ALLOWED, f"'{given[:200]}' is not a valid amqp filter for EventHub entities.")
    return StartPosition(match[1], match[2] == ">=", match[3])


def _filters(source: object) -> dict[Any, Any]:
    if not isinstance(source, Described) or not isinstance(source.value, list):
        return {}
    filters = source.value[_FILTERS_FIELD] if len(source.value) > _FILTERS_FIELD else None
    return filters if isinstance(filters, dict) else {}


def find_offset(position: StartPosition, log: PartitionLog) -> int:
    """Return the offset of the first event to send.

    Raises Refusal if the position is not a number or lies beyond the end of the log.
    """
    if position.value == LATEST:
        return log.end_offset
    if position.value == EARLIEST:
        return log.begin_offset
    try:
        value = int(position.value)
    except ValueError:
        raise Refusal(
            ARGUMENT_ERROR, f"The supplied {position.annotation} '{position.value[:200]}' is no number."
        ) from None
    wanted = value if position.is_inclusive else value + 1
    if position.annotation == annotations.SEQUENCE_NUMBER:
        return _find_sequence_number(wanted, log, position.value)
    if position.annotation == annotations.ENQUEUED_TIME:
        return _find_time(wanted, log)
    return _find_position(wanted, log, position.value)


def _find_sequence_number(wanted: int, log: PartitionLog, text: str) -> int:
    if wanted > log.next_sequence:
        raise Refusal(
            ARGUMENT_ERROR,
            f"The supplied sequence number '{text}' is invalid. The last sequence number in the system is "
            f"'{log.next_sequence - 1}'",
        )
    for segment in log.segments:
        if wanted < segment.next_sequence:
            for mark in segment.records(segment.index.before_sequence(wanted)):
                if mark.sequence_number >= wanted:
                    return segment.base_offset + mark.position
    return log.end_offset


def _find_time(wanted_ms: int, log: PartitionLog) -> int:
    for segment in log.segments:
        if segment.last is not None and wanted_ms <= segment.last.enqueued_ms:
            for mark in segment.records(segment.index.before_time(wanted_ms)):
                if mark.enqueued_ms >= wanted_ms:
                    return segment.base_offset + mark.position
    return log.end_offset


def _find_position(wanted: int, log: PartitionLog, text: str) -> int:
    if wanted > log.end_offset:
        raise Refusal(
            ARGUMENT_ERROR,
            f"The supplied offset '{text}' is invalid. The last offset in the system is "
            f"'{log.state().last_offset}'",
        )
    for segment in log.segments:
        if wanted < segment.end_offset:
            position = wanted - segment.base_offset
            for mark in segment.records(segment.index.before_position(position)):
                if mark.position >= position:
                    return segment.base_offset + mark.position
    return log.end_offset
