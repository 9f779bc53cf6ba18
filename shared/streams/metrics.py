"""How far a service has read each partition: what the terminal view and alerts compute lag from."""

from prometheus_client import Gauge

NEXT_SEQUENCE = Gauge(
    "fleetprice_streams_next_sequence_number", "Next sequence number to be taken in", ["hub", "partition"]
)
