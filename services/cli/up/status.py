"""The state of the stack at one moment."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from shared.contract.prediction import Prediction

Percentiles = Mapping[str, float | None]


class Price(Struct, frozen=True):
    """The fields of a prediction that a person watches."""

    vehicle_id: str
    reading_no: int
    price: float
    lower: float
    upper: float
    currency: str
    reading_at: str


class Status(Struct, frozen=True, tag="status", tag_field="event"):
    """The state of the stack, as shown once a second.

    Rates are of the last 10 s. `lag` is the sustained lag of the last second by hub and partition: the
    minimum number of events by which the slowest reader of the hub was behind. Events that arrived since the
    previous sample (0.2 s) do not count.

    Latencies are in milliseconds, from a reading until a live reader receives its prediction: `latency_ms` of
    the last 5 s, `latency_overall_ms` since the start.
    """

    phase: str
    elapsed_s: float
    sent_per_s: float
    landed_per_s: float
    predicted_per_s: float
    lag: Mapping[str, Mapping[str, int]]
    latency_ms: Percentiles
    latency_overall_ms: Percentiles
    newest: Sequence[Price]
    restarts: Mapping[str, int]


def make_price(prediction: Prediction) -> Price:
    return Price(
        prediction.vehicle_id,
        prediction.reading_no,
        round(prediction.price, 2),
        round(prediction.lower, 2),
        round(prediction.upper, 2),
        prediction.currency,
        prediction.reading_at.isoformat().replace("+00:00", "Z"),
    )
