"""Settings of ingest."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.service.settings import ConnectionSettings

MIN_MEMORY_BYTES = 2**20


class IngestSettings(ConnectionSettings):
    """The settings that begin with FLEETPRICE_INGEST_."""

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
        32 * 2**20, gt=0, description="A file closes at this many bytes of bodies as received"
    )
    roll_max_age_s: float = Field(60.0, gt=0, description="A file closes at this age, idle or not, seconds")
    prefetch: int = Field(
        3_000, ge=1, le=100_000, description="Events that a partition's link keeps ready, at most"
    )
    prefetch_in_all: int = Field(
        3_000, ge=1, description="Events that all links together keep ready, shared between the partitions"
    )
    events_memory_bytes: int = Field(
        128 * 2**20,
        ge=MIN_MEMORY_BYTES,
        description="Memory for received events of all partitions before they are rows, shared between "
        "the partitions, bytes",
    )
    rows_memory_bytes: int = Field(
        256 * 2**20,
        ge=MIN_MEMORY_BYTES,
        description="Memory for gathered rows of all partitions and workers, shared between the partitions, "
        "bytes",
    )
    drain_timeout_s: float = Field(
        8.0,
        gt=0,
        description="Time to commit after SIGTERM; events not committed by then stay in the hub, seconds",
    )
    staging_max_age_s: float = Field(
        900.0, ge=0, description="Staged files of broken-off commits are swept at this age, seconds"
    )
    look_interval_s: float = Field(
        10.0, gt=0, description="How often the hub is asked for its identity, size and lag, seconds"
    )
    stall_after_s: float = Field(
        120.0, gt=0, description="Not ready once events have waited this long for their commit, seconds"
    )
    refusal_grace_s: float = Field(
        60.0,
        ge=0,
        description="Time after which refusals (keys, roles, a hub that is gone) end ingest, if it has "
        "committed before, seconds",
    )
    manifest_hub: str = Field("", description="Hub that gets a record of each committed file; empty: none")
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
    host: str = Field("127.0.0.1", description="Address on which health and metrics listen")
    metrics_port: int = Field(0, ge=0, le=65_535, description="Port of health and metrics; 0: any free one")
