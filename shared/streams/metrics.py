"""How far each partition was read, from which alerts and `fleetprice up` compute lag."""

from prometheus_client import Gauge

NEXT_SEQUENCE = Gauge(
    "fleetprice_streams_next_sequence_number", "Next sequence number to be taken in", ["hub", "partition"]
)
