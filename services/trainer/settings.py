from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import WorldSettings


class TrainerSettings(WorldSettings):
    model_config = SettingsConfigDict(env_prefix="FLEETPRICE_TRAINER_")
    service: ClassVar[str] = "TRAINER"

    data: Path = Field(description="Parquet file of asking prices to learn from")
    out: Path = Field(description="Folder of the new version, such as models/price/2; it must not exist")
    seed: int = Field(7, ge=0, lt=2**31, description="The same seed and data give the same model")
    threads: int = Field(2, ge=1, le=64, description="Threads to train with")
    as_json: bool = Field(False, description="One JSON object on stdout: the version's folder and metrics")
