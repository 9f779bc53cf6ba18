"""The version in service: whoever prices a batch takes it once, so that a swap falls between two batches."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from prometheus_client import Gauge

from shared.registry.manifest import Manifest

IN_SERVICE = Gauge("fleetprice_model_in_service", "1 for the version that serves", ["model", "version"])


class Versioned(Protocol):
    """What prices with one version of a model."""

    manifest: Manifest


P = TypeVar("P", bound=Versioned)


@dataclass(frozen=True, slots=True)
class InService(Generic[P]):
    """One version, and since when it serves."""

    pricer: P
    since: datetime


class ActiveModel(Generic[P]):
    """What stream and HTTP price with; replaced on the event loop alone, as it is read."""

    def __init__(self, pricer: P) -> None:
        self.now = InService(pricer, datetime.now(UTC))
        _show(pricer.manifest)

    @property
    def pricer(self) -> P:
        """Take it once per batch: the next look may give another version."""
        return self.now.pricer

    def replace(self, pricer: P) -> None:
        """What is under way ends with the version that it began with."""
        before = self.now.pricer.manifest
        self.now = InService(pricer, datetime.now(UTC))
        IN_SERVICE.remove(before.name, before.version)
        _show(pricer.manifest)


def _show(manifest: Manifest) -> None:
    IN_SERVICE.labels(manifest.name, manifest.version).set(1)
