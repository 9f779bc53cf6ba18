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
        description="Where the fleet's own record is; its hubs and lake too, where no world is named",
    )
    await_input_end: bool = Field(
        False,
        description="Judge once standard input ends, having read the predictions so far (as `up` does)",
    )
    as_json: bool = Field(False, description="One JSON object on stdout instead of a table")
