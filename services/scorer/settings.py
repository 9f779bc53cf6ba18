"""Settings of the scorer."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.service.settings import ConnectionSettings

# As many are priced together at most.
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
        "separated by commas; neither these nor a file of them: the development key",
    )
    api_keys_file: Path | None = Field(
        None, description="File of NAME:sha256:HEX lines, read again whenever it changes"
    )
    token_issuer: str = Field(
        "", description="Issuer (URL) whose tokens are accepted as well as keys, such as Entra ID's"
    )
    token_audience: str = Field("", description="Audiences that such a token may be for, separated by commas")
    token_role: str | None = Field(None, description="Application role that such a token must carry")
    token_scope: str | None = Field(
        None, description="Scope that such a token may carry in place of the role"
    )
    key_interval_s: float = Field(
        5.0, gt=0, description="How often at most the issuer is asked for keys not known yet, seconds"
    )
    vehicles_per_s: float = Field(
        50_000, gt=0, description="Vehicles a second that one caller may have priced; more: 429"
    )
    vehicles_burst: float = Field(
        100_000, ge=1_000, description="Vehicles that one caller may have priced at once"
    )
    max_requests: int = Field(256, ge=1, description="HTTP requests served at once; more: 503")
    max_waiting_vehicles: int = Field(
        2_000, ge=1, description="Vehicles that wait for a run of the model; more: 503"
    )
    max_wait_s: float = Field(
        0.05, gt=0, description="How long a request may have to wait among others, seconds; longer: 503"
    )
    max_connections: int = Field(
        500, ge=1, description="HTTP connections open at once; more: 503, but for probes"
    )
    request_timeout_s: float = Field(
        10.0, gt=0, description="How long a request may take to arrive, head and body in all, seconds"
    )
    answer_timeout_s: float = Field(
        30.0,
        ge=0.01,
        description="How long a caller may take to receive an answer in all, seconds (Linux)",
    )
    idle_timeout_s: float = Field(
        75.0, gt=0, description="How long a connection may go without a whole request head, seconds"
    )
    http_drain_s: float = Field(
        5.0, gt=0, description="How long requests in progress have at the end, seconds"
    )
    tls_certificate: Path | None = Field(
        None, description="Certificate chain (PEM) that HTTP is served with, loaded anew when renewed"
    )
    tls_key: Path | None = Field(None, description="The certificate's private key (PEM)")
    watch_interval_s: float = Field(
        1.0, gt=0, description="How often keys and certificate are looked at for changes, seconds"
    )
    max_body_bytes: int = Field(1_048_576, ge=1_024, description="Largest HTTP request body, bytes")
    version: str | None = Field(
        None, description="Version of the price model; none: the lake's champion, or else the shipped one"
    )
    model_interval_s: float = Field(
        1.0, gt=0, le=2, description="How often the champions' pointers are looked at, seconds"
    )
    output: Literal["auto", "ndjson", "arrow"] = Field(
        "auto", description="Bodies of predictions; auto: Arrow where the readings came as Arrow, else NDJSON"
    )
    max_rows: int = Field(
        MAX_ROWS_LIMIT,
        ge=1,
        le=MAX_ROWS_LIMIT,
        description="Most predictions in one output event, as far as the limit of 1 MiB lets it; of JSON "
        "1,000 at most",
    )
    max_events: int = Field(500, ge=1, description="Most source events taken in at once")
    prefetch: int = Field(10_000, ge=1, description="Source events held ready per partition, at most")
    link_bytes: int = Field(
        8 * 2**20, ge=2**20, description="Bytes of source events held ready per partition, at most"
    )
    low_latency: bool = Field(
        False,
        description="Take events in as they arrive, not at the SDK's next look; costs processor time, "
        "and relies on names inside the SDK",
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that share the partitions and HTTP's port; no more than there are partitions",
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="Port of health and metrics alone, of all workers; 0: any free one; none: they are on "
        "HTTP's, or with several workers on any free one",
    )
    shares_port: bool = Field(False, description="Whether others listen on HTTP's port too: set by workers")
    checkpoint_interval_s: float = Field(
        5.0, gt=0, description="How often the checkpoint blobs follow the output, seconds"
    )
