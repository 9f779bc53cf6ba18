"""The model version in service.

Each batch reads it once, so that a swap to another version takes effect between two batches.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from prometheus_client import Gauge

from shared.registry.model_manifest import Manifest

IN_SERVICE = Gauge(
    "fleetprice_registry_model_in_service", "1 for the version that serves", ["model", "version"]
)


class Versioned(Protocol):
    """A pricer that has the manifest of its model version."""

    manifest: Manifest


P = TypeVar("P", bound=Versioned)


@dataclass(frozen=True, slots=True)
class InService(Generic[P]):
    """The pricer of a model version and the time at which that version began to serve."""

    pricer: P
    since: datetime


class ActiveModel(Generic[P]):
    """The pricer in service, shared by stream and HTTP. Read and replace it on the event loop only."""

    def __init__(self, pricer: P) -> None:
        self.now = InService(pricer, datetime.now(UTC))
        _set_in_service(pricer.manifest)

    @property
    def pricer(self) -> P:
        """The pricer in service. Read it once per batch: the next read may return another version."""
        return self.now.pricer

    def replace(self, pricer: P) -> None:
        """Put the pricer of another version into service.

        A batch in progress finishes with the version with which it began.
        """
        before = self.now.pricer.manifest
        self.now = InService(pricer, datetime.now(UTC))
        IN_SERVICE.remove(before.name, before.version)
        _set_in_service(pricer.manifest)


def _set_in_service(manifest: Manifest) -> None:
    IN_SERVICE.labels(manifest.name, manifest.version).set(1)
