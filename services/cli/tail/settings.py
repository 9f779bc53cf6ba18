from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.service.settings import PREFIX, ConnectionSettings


class TailSettings(ConnectionSettings):
    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}TAIL_")
    service: ClassVar[str] = "TAIL"

    stream: Literal["telemetry", "predictions"] = Field("telemetry", description="The stream to watch")
    start: str = Field(
        "latest", description="Where to begin: earliest, latest, an RFC 3339 time, or PARTITION:OFFSET"
    )
    vehicle: str = Field("", description="Show only this vehicle")
    resume: Path | None = Field(
        None, description="File that keeps the position in the predictions: the next run continues from there"
    )
    data: Path = Field(
        Path(".fleetprice"),
        description="Directory of the local stack to watch, if no connection string is set",
    )
    as_json: bool = Field(False, description="One JSON object a line")
