from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.service.settings import PREFIX, ConnectionSettings


class CompactionSettings(ConnectionSettings):
    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}COMPACTION_")
    service: ClassVar[str] = "COMPACTION"

    data: Path = Field(
        Path(".fleetprice"), description="Directory of a running local stack, if no storage is named"
    )
    stream: str = Field("", description="Compact this stream only; none: every stream of the raw zone")
    older_than_s: float = Field(
        3_600.0,
        ge=0,
        description="Files of an hour that may still grow are compacted once the newest is this old, seconds",
    )
    target_bytes: int = Field(
        128 * 2**20, ge=2**10, description="A compacted file closes at this many bytes of raw files"
    )
    staging_max_age_s: float = Field(
        3_600.0, ge=0, description="Staged files of interrupted compactions are deleted at this age, seconds"
    )
    every_s: float = Field(0.0, ge=0, description="Time from one pass to the next, seconds; 0: one pass")
    as_json: bool = Field(False, description="One JSON object a pass on stdout instead of a table")
