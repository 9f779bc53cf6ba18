"""Parsers of the services' metrics pages and of the emulator's list of hubs (pure)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.cli.up.sustained_lag import HubPartition, PartitionEnd

_LINE = re.compile(r"^(fleetprice_\w+)(?:\{([^}]*)\})? (\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of a metrics page, with its name and labels."""

    name: str
    labels: Mapping[str, str]
    value: float


def parse_samples(page: str) -> list[Sample]:
    """Return the metrics of Fleetprice from a page in Prometheus' text format.

    The parser of Prometheus' own client takes 20 times as long.
    """
    return [
        Sample(name, dict(_LABEL.findall(labels)), float(value))
        for name, labels, value in _LINE.findall(page)
    ]


def sum_samples(samples: list[Sample], name: str, labels: Mapping[str, str]) -> float:
    """Sum the samples that have this name and these labels; 0 if there are none."""
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def find_next_sequences(samples: list[Sample]) -> Iterator[tuple[HubPartition, int]]:
    """Yield each hub and partition with the sequence number that the service reads next."""
    for one in samples:
        if one.name == "fleetprice_streams_next_sequence_number":
            yield (one.labels["hub"], one.labels["partition"]), int(one.value)


def find_ends(hubs: list[dict[str, Any]]) -> Iterator[tuple[HubPartition, PartitionEnd]]:
    """Yield each hub and partition with its first and last sequence number, from the answer of /hubs."""
    for hub in hubs:
        for partition in hub["partitions"]:
            end = PartitionEnd(partition["begin_sequence_number"], partition["last_enqueued_sequence_number"])
            yield (hub["name"], partition["id"]), end
