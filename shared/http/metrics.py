"""Counters and histograms without locks, to be used only in the event loop's thread.

They appear on `/metrics` like any other metric. The counters of prometheus-client take a lock for each number
that changes. That happens ten times in a request and makes up a tenth of its cost.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]


class Distribution:
    """A histogram: the number of observations in each bucket, and the sum of all observations."""

    __slots__ = ("_counts", "_limits", "_sum")

    def __init__(self, limits: Sequence[float]) -> None:
        self._limits = tuple(limits)
        self._counts = [0] * (len(limits) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._limits, value)] += 1
        self._sum += value

    @property
    def sum(self) -> float:
        return self._sum

    def cumulative(self) -> list[tuple[str, float]]:
        """Return each bucket's upper end and the number of observations at or below that end."""
        ends = [*map(floatToGoString, self._limits), "+Inf"]
        return list(zip(ends, map(float, accumulate(self._counts)), strict=True))


class Distributions(Collector):
    """A histogram metric with one distribution for each combination of label values."""

    def __init__(self, name: str, about: str, labels: Labels, limits: Sequence[float]) -> None:
        self._name, self._about, self._labels, self._limits = name, about, labels, limits
        self._by_labels: dict[Labels, Distribution] = {}
        REGISTRY.register(self)

    def with_labels(self, *labels: str) -> Distribution:
        """Return the distribution for these label values; make an empty one if none exists."""
        return self._by_labels.setdefault(labels, Distribution(self._limits))

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self._name, self._about, labels=self._labels)
        for labels, one in self._by_labels.items():
            family.add_metric(labels, one.cumulative(), one.sum)
        yield family


class Counts(Collector):
    """A counter metric with one count for each combination of label values."""

    def __init__(self, name: str, about: str, labels: Labels) -> None:
        self._name, self._about, self._labels = name, about, labels
        self._by_labels: dict[Labels, int] = {}
        REGISTRY.register(self)

    def add(self, labels: Labels) -> None:
        self._by_labels[labels] = self._by_labels.get(labels, 0) + 1

    def declare(self, labels: Labels) -> None:
        """Show the count of these label values from now on, even while it is 0."""
        self._by_labels.setdefault(labels, 0)

    def count(self, *labels: str) -> int:
        return self._by_labels.get(labels, 0)

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._about, labels=self._labels)
        for labels, count in self._by_labels.items():
            family.add_metric(labels, count)
        yield family
