"""The read position of each partition; alerts and `fleetprice up` compute lag from it."""

from prometheus_client import Gauge

NEXT_SEQUENCE = Gauge(
    "fleetprice_streams_next_sequence_number", "Next sequence number to be taken in", ["hub", "partition"]
)
