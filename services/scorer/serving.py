"""The version in service: whoever prices a batch takes it once, so that a swap falls between two batches."""

from dataclasses import dataclass
from datetime import UTC, datetime

from services.scorer.pricing import Pricer


@dataclass(frozen=True, slots=True)
class InService:
    """One version, and since when it serves."""

    pricer: Pricer
    since: datetime


class ServedModel:
    """What stream and HTTP price with; replaced on the event loop alone, as it is read."""

    def __init__(self, pricer: Pricer) -> None:
        self.replace(pricer)

    @property
    def pricer(self) -> Pricer:
        """Take it once per batch: the next look may give another version."""
        return self.now.pricer

    def replace(self, pricer: Pricer) -> None:
        """What is under way ends with the version that it began with."""
        self.now = InService(pricer, datetime.now(UTC))
