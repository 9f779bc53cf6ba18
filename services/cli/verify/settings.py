from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.service.settings import PREFIX, ConnectionSettings


class VerifySettings(ConnectionSettings):
    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}VERIFY_")
    service: ClassVar[str] = "VERIFY"

    data: Path = Field(
        Path(".fleetprice"),
        description="Directory of the fleet's own record; of the hubs and the lake too, if none are named",
    )
    await_input_end: bool = Field(
        False,
        description="Read predictions until standard input ends, then judge (as `up` does)",
    )
    timeout_s: float = Field(
        3600.0,
        gt=0,
        description="Seconds for reading everything; after that verify ends and names what it was reading",
    )
    as_json: bool = Field(False, description="One JSON object on stdout instead of a table")
