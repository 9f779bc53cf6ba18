"""What an operator can set of ingest."""

import os
import re
from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.ingest.roll_policy import RollPolicy
from shared.contract.columns import BY_STREAM, Contract
from shared.contract.json_schema import contract_from_schema
from shared.service.errors import SettingsError
from shared.service.settings import ConnectionSettings

# An event waits in the link's buffer, then in the inbox of its partition's worker, then until there is enough
# to decode at one go: at most a share, and what was handed over last.
_STAGES = 4
_MIN_MEMORY_BYTES = 2**20
# It is a folder of the lake.
_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class IngestSettings(ConnectionSettings):
    """FLEETPRICE_INGEST_…"""

    model_config = SettingsConfigDict(env_prefix="FLEETPRICE_INGEST_")
    service: ClassVar[str] = "INGEST"

    streams: str = Field(
        "telemetry,predictions", description="Streams to land, by their contracts, separated by commas"
    )
    contracts: Path | None = Field(
        None,
        description="Folder with STREAM.json, the JSON Schema of its records, for streams of your own: "
        "their hubs are named as they are",
    )
    consumer_group: str = Field("ingest", description="Consumer group to read with")
    roll_max_rows: int = Field(200_000, gt=0, description="A file closes at this many rows")
    roll_max_bytes: int = Field(
        32 * 2**20, gt=0, description="A file closes at this many bytes of bodies as they came"
    )
    roll_max_age_s: float = Field(60.0, gt=0, description="A file closes at this age, idle or not, seconds")
    prefetch: int = Field(
        3_000, ge=1, le=100_000, description="Events that a partition's link keeps ready, at most"
    )
    prefetch_in_all: int = Field(
        3_000, ge=1, description="Events that all links together keep ready: each partition has its share"
    )
    events_memory_bytes: int = Field(
        128 * 2**20,
        ge=_MIN_MEMORY_BYTES,
        description="Memory that received events of all partitions take before they are rows: each partition "
        "has its share, bytes",
    )
    rows_memory_bytes: int = Field(
        256 * 2**20,
        ge=_MIN_MEMORY_BYTES,
        description="Memory that gathered rows of all partitions and workers take: each partition has its "
        "share, bytes",
    )
    drain_timeout_s: float = Field(
        8.0, gt=0, description="What is not committed so long after SIGTERM stays in the hub, seconds"
    )
    staging_max_age_s: float = Field(
        900.0, ge=0, description="Staged files of broken-off commits are swept at this age, seconds"
    )
    look_interval_s: float = Field(
        10.0, gt=0, description="How often the hub is asked for its identity, size and lag, seconds"
    )
    stall_after_s: float = Field(
        120.0, gt=0, description="Not ready once events wait so long for their commit, seconds"
    )
    refusal_grace_s: float = Field(
        60.0,
        ge=0,
        description="Refusals (keys, roles, a hub that is gone) of what worked before end ingest after "
        "so long, seconds",
    )
    manifest_hub: str = Field(
        "", description="Hub that gets a record of each committed file; none where this is not set"
    )
    dead_letter: str = Field(
        "",
        description="Events to dead-letter undecoded: [STREAM/]PARTITION:SEQUENCE, separated by commas; "
        "without STREAM the first of the streams",
    )
    accept_recreated: str = Field(
        "", description="Streams whose hub was re-created: land the new one beside the old rows"
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that share the partitions; more than a hub has partitions are refused",
    )
    host: str = Field("127.0.0.1", description="Where health and metrics listen")
    metrics_port: int = Field(0, ge=0, le=65_535, description="Port of health and metrics; 0: any free one")

    @property
    def roll_policy(self) -> RollPolicy:
        return RollPolicy(self.roll_max_rows, self.roll_max_bytes, self.roll_max_age_s)

    def prefetch_share(self, partitions: int) -> int:
        """Events that each link of a hub with so many partitions keeps ready."""
        return max(1, min(self.prefetch, self.prefetch_in_all // (partitions * len(self.hubs()))))

    @property
    def rows_memory_bytes_of_a_worker(self) -> int:
        """Its part of what is there for all; of received events it has its part by its partitions."""
        return max(_MIN_MEMORY_BYTES, self.rows_memory_bytes // self.workers)

    def link_bytes(self, partitions: int) -> int:
        """What each link of a hub with so many partitions keeps in memory of events that nobody took yet."""
        return max(1, self.events_memory_bytes // (_STAGES * partitions * len(self.hubs())))

    def hubs(self) -> dict[str, str]:
        """Stream → hub; raises SettingsError for a stream without a contract."""
        names = _words(self.streams)
        if not names:
            raise SettingsError("FLEETPRICE_INGEST_STREAMS names no stream")
        own = {"telemetry": self.telemetry_hub, "predictions": self.predictions_hub}
        hubs = {name: own.get(name, name) for name in (self._known(name, "STREAMS") for name in names)}
        if self.manifest_hub in hubs.values():
            raise SettingsError(
                f"FLEETPRICE_INGEST_MANIFEST_HUB: {self.manifest_hub} is a stream's own hub; name another"
            )
        return hubs

    def accepts_recreated(self, stream: str) -> bool:
        return stream in [self._known(name, "ACCEPT_RECREATED") for name in _words(self.accept_recreated)]

    def named_events(self, stream: str) -> dict[int, frozenset[int]]:
        """Partition → sequence numbers to dead-letter undecoded; raises SettingsError."""
        named: dict[int, frozenset[int]] = {}
        for word in _words(self.dead_letter):
            whose, _, place = word.rpartition("/")
            partition, _, sequence = place.partition(":")
            if not (partition.isdecimal() and sequence.isdecimal()):
                raise SettingsError(f"FLEETPRICE_INGEST_DEAD_LETTER: {word!r} is not PARTITION:SEQUENCE")
            if self._known(whose or next(iter(self.hubs())), "DEAD_LETTER") == stream:
                named[int(partition)] = named.get(int(partition), frozenset()) | {int(sequence)}
        return named

    def contract(self, stream: str) -> Contract:
        """A built-in contract, or that of a stream of the user's own; raises SettingsError."""
        if stream in BY_STREAM:
            return BY_STREAM[stream]
        path = self._contract_file(stream)
        try:
            return contract_from_schema(stream, path.read_bytes())
        except OSError as error:
            raise SettingsError(f"{path} cannot be read: {error.strerror}") from error

    def _known(self, stream: str, setting: str) -> str:
        if stream not in BY_STREAM and not self._contract_file(stream).is_file():
            found = sorted(path.stem for path in self.contracts.glob("*.json")) if self.contracts else []
            raise SettingsError(
                f"FLEETPRICE_INGEST_{setting}: {stream!r} is no stream; there are "
                f"{', '.join([*BY_STREAM, *found])} (FLEETPRICE_INGEST_CONTRACTS names a folder with others)"
            )
        return stream

    def _contract_file(self, stream: str) -> Path:
        if self.contracts is None or not _STREAM.fullmatch(stream):
            return Path(os.devnull)
        return self.contracts / f"{stream}.json"


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
