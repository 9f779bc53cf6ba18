"""The version in service; each batch reads it once, so that a swap happens between two batches."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from prometheus_client import Gauge

from shared.registry.model_manifest import Manifest

IN_SERVICE = Gauge(
    "fleetprice_registry_model_in_service", "1 for the version that serves", ["model", "version"]
)


class Versioned(Protocol):
    """A pricer with one version of a model."""

    manifest: Manifest


P = TypeVar("P", bound=Versioned)


@dataclass(frozen=True, slots=True)
class InService(Generic[P]):
    """One version and when its service started."""

    pricer: P
    since: datetime


class ActiveModel(Generic[P]):
    """The pricer of stream and HTTP; read and replaced on the event loop only."""

    def __init__(self, pricer: P) -> None:
        self.now = InService(pricer, datetime.now(UTC))
        _set_in_service(pricer.manifest)

    @property
    def pricer(self) -> P:
        """The pricer in service. Read it once per batch: the next read may return another version."""
        return self.now.pricer

    def replace(self, pricer: P) -> None:
        """Put another version into service; a batch in progress ends with the version that it began with."""
        before = self.now.pricer.manifest
        self.now = InService(pricer, datetime.now(UTC))
        IN_SERVICE.remove(before.name, before.version)
        _set_in_service(pricer.manifest)


def _set_in_service(manifest: Manifest) -> None:
    IN_SERVICE.labels(manifest.name, manifest.version).set(1)
