from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.service.settings import ConnectionSettings


class TrainerSettings(ConnectionSettings):
    model_config = SettingsConfigDict(env_prefix="FLEETPRICE_TRAINER_")
    service: ClassVar[str] = "TRAINER"

    model: Literal["price", "automobile"] = Field("price", description="The model to train")
    data: Path = Field(description="Training data: asking prices (Parquet), or the 1985 automobile set (CSV)")
    out: Path = Field(description="Folder of the new version, such as models/price/2; it must not exist")
    seed: int = Field(7, ge=0, lt=2**31, description="The same seed and data give the same model")
    threads: int = Field(2, ge=1, le=64, description="Threads to train with")
    as_json: bool = Field(False, description="One JSON object on stdout: the version's folder and metrics")
