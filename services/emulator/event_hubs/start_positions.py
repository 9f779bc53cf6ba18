"""The start position of a reader: the filter of its link, and the offset in the log that it denotes."""

import re
from typing import NamedTuple

from services.emulator.event_hubs.refusals import ARGUMENT_ERROR
from services.emulator.log import annotations
from services.emulator.log.partition_log import PartitionLog
from shared.amqp.decoder import Described
from shared.amqp.refusal import INVALID_FIELD, Refusal

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
    """Parse the filter of a link's source; without a filter, only new events are sent.

    Raises Refusal if the filter is not a position.
    """
    selector = _selector(source)
    if selector is None:
        return StartPosition(annotations.OFFSET, is_inclusive=False, value=LATEST)
    match = _SELECTOR.fullmatch(selector.strip())
    if match is None or match[1] not in annotations.SERVICE_ANNOTATIONS:
        raise Refusal(INVALID_FIELD, f"The filter '{selector[:200]}' is not a position in a partition.")
    return StartPosition(match[1], match[2] == ">=", match[3])


def _selector(source: object) -> str | None:
    if not isinstance(source, Described) or not isinstance(source.value, list):
        return None
    filters = source.value[_FILTERS_FIELD] if len(source.value) > _FILTERS_FIELD else None
    selector = filters.get(FILTER) if isinstance(filters, dict) else None
    if isinstance(selector, Described):
        selector = selector.value
    return selector if isinstance(selector, str) else None


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
