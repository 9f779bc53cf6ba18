"""Settings of the scorer."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.service.settings import ConnectionSettings

# The largest number of rows priced together.
MAX_ROWS_LIMIT = 4_000


class ScorerSettings(ConnectionSettings):
    model_config = SettingsConfigDict(env_prefix="FLEETPRICE_SCORER_")
    service: ClassVar[str] = "SCORER"

    stream: bool = Field(True, description="Score the telemetry hub and publish to the predictions hub")
    http: bool = Field(True, description="Serve prices, health and metrics over HTTP")
    host: str = Field("127.0.0.1", description="Address that HTTP listens on")
    http_port: int = Field(8000, ge=0, le=65_535, description="Port that HTTP listens on; 0: any free one")
    api_keys: SecretStr | None = Field(
        None,
        description="Keys that callers send as `Authorization: Bearer KEY`, or NAME:sha256:HEX of them, "
        "separated by commas; without these and without a file of them: the development key",
    )
    api_keys_file: Path | None = Field(
        None, description="File of NAME:sha256:HEX lines, reloaded when it changes"
    )
    token_issuer: str = Field(
        "", description="Issuer (URL) whose tokens are accepted as well as keys, such as Entra ID"
    )
    token_audience: str = Field("", description="Audiences that such a token may be for, separated by commas")
    token_role: str | None = Field(None, description="Application role that such a token must carry")
    token_scope: str | None = Field(
        None, description="Scope that such a token may carry in place of the role"
    )
    key_interval_s: float = Field(
        5.0, gt=0, description="Least time between two requests to the issuer for unknown keys, seconds"
    )
    vehicles_per_s: float = Field(
        50_000, gt=0, description="Vehicles that one caller may have priced per second; above it: 429"
    )
    vehicles_burst: float = Field(
        100_000, ge=1_000, description="Vehicles that one caller may have priced in one burst"
    )
    max_requests: int = Field(256, ge=1, description="HTTP requests served at the same time; above it: 503")
    max_waiting_vehicles: int = Field(
        2_000, ge=1, description="Vehicles that wait for a run of the model; above it: 503"
    )
    max_wait_s: float = Field(
        0.05, gt=0, description="How long a request may have to wait for others, seconds; above it: 503"
    )
    max_connections: int = Field(
        500, ge=1, description="HTTP connections open at the same time; above it: 503, except for probes"
    )
    request_timeout_s: float = Field(
        10.0, gt=0, description="How long a request may take to arrive, head and body together, seconds"
    )
    answer_timeout_s: float = Field(
        30.0,
        ge=0.01,
        description="How long a caller may take to receive a whole answer, seconds (Linux)",
    )
    idle_timeout_s: float = Field(
        75.0, gt=0, description="How long a connection may go without a whole request head, seconds"
    )
    http_drain_s: float = Field(
        5.0, gt=0, description="How long requests in progress have at shutdown, seconds"
    )
    tls_certificate: Path | None = Field(
        None, description="Certificate chain (PEM) that HTTP is served with, reloaded when it changes"
    )
    tls_key: Path | None = Field(None, description="The certificate's private key (PEM)")
    watch_interval_s: float = Field(
        1.0, gt=0, description="How often keys and certificate are checked for changes, seconds"
    )
    max_body_bytes: int = Field(1_048_576, ge=1_024, description="Largest HTTP request body, bytes")
    version: str | None = Field(
        None,
        description="Version of the price model; none: the lake's champion, or the shipped one",
    )
    model_interval_s: float = Field(
        1.0, gt=0, le=2, description="How often the champions' pointers are checked, seconds"
    )
    output: Literal["auto", "ndjson", "arrow"] = Field(
        "auto", description="Bodies of predictions; auto: Arrow if the readings came as Arrow, else NDJSON"
    )
    max_rows: int = Field(
        MAX_ROWS_LIMIT,
        ge=1,
        le=MAX_ROWS_LIMIT,
        description="Max predictions in one output event, within the hub's limit of 1 MiB; in JSON 1,000 at "
        "most",
    )
    max_events: int = Field(500, ge=1, description="Max source events processed together")
    prefetch: int = Field(10_000, ge=1, description="Max source events prefetched per partition")
    link_bytes: int = Field(
        8 * 2**20, ge=2**20, description="Max bytes of source events prefetched per partition"
    )
    low_latency: bool = Field(
        False,
        description="Process events as they arrive, not at the SDK's next poll; costs processor time and "
        "relies on names inside the SDK",
    )
    dead_letter: str = Field(
        "",
        description="Events of the telemetry hub to leave undecoded and without prices: PARTITION:SEQUENCE, "
        "separated by commas",
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that share the partitions and HTTP's port; at most as many as partitions",
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="Separate port of health and metrics, of all workers; 0: any free one; none: HTTP's "
        "port, or with several workers any free one",
    )
    shares_port: bool = Field(
        False, description="Share HTTP's port with other processes (set by the parent of workers)"
    )
    checkpoint_interval_s: float = Field(
        5.0, gt=0, description="How often checkpoint blobs are written, seconds"
    )
