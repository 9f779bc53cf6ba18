"""Compares the events that the telemetry hub retains with those that the lake's chains cover."""

from collections.abc import Iterator, Mapping

from services.cli.verify.hub import Span
from services.cli.verify.raw_zone import RawZone


def find_unlanded(zone: RawZone, spans: Mapping[str, Span]) -> Iterator[str]:
    """Yield a sentence for each partition whose hub has events after the lake's last one.

    Events that retention removed before they landed are a fault too: nobody can know what they were.
    """
    for partition, span in sorted(spans.items(), key=lambda item: int(item[0])):
        chain = zone.newest(int(partition))
        following = zone.next_first(chain)
        if chain in zone.links and span.first > following:
            gone = f"telemetry {chain}: the hub's retention removed events {following} to {span.first - 1}"
            yield f"{gone}, which are in no file: what they were cannot be known"
        if span.last >= (first := max(following, span.first)):
            yield f"telemetry {chain}: the hub has events {first} to {span.last}, which are in no file"
