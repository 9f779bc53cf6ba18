"""What the services tell over HTTP: their metrics page, and the hubs as the emulator's admin lists them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.cli.up.sustained_lag import HubPartition, PartitionEnd

_LINE = re.compile(r"^(fleetprice_\w+)(?:\{([^}]*)\})? (\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of a metrics page."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples_of(page: str) -> list[Sample]:
    """Our own metrics on a page in Prometheus' text format (its own parser takes 20 times as long)."""
    return [
        Sample(name, dict(_LABEL.findall(labels)), float(value))
        for name, labels, value in _LINE.findall(page)
    ]


def total_of(samples: list[Sample], name: str, labels: Mapping[str, str]) -> float:
    """The sum over all samples of that name and those labels; what was not counted yet is not there."""
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def next_sequences_of(samples: list[Sample]) -> Iterator[tuple[HubPartition, int]]:
    """By hub and partition, the sequence number that the service takes in next."""
    for one in samples:
        if one.name == "fleetprice_next_sequence":
            yield (one.labels["hub"], one.labels["partition"]), int(one.value)


def ends_of(hubs: list[dict[str, Any]]) -> Iterator[tuple[HubPartition, PartitionEnd]]:
    """Where each partition of each hub begins and ends, from `GET /hubs`."""
    for hub in hubs:
        for partition in hub["partitions"]:
            end = PartitionEnd(partition["begin_sequence_number"], partition["last_enqueued_sequence_number"])
            yield (hub["name"], partition["id"]), end
