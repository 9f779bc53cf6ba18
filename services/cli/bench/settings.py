"""The settings of `fleetprice bench`."""

from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.service.errors import SettingsError
from shared.service.settings import ConnectionSettings

FIGURES = (
    *("ingest_json", "ingest_ndjson", "ingest_arrow", "ingest_two_workers"),
    *("score_arrow", "score_json", "score_latency", "score_latency_low"),
    *("http_single", "http_single_alone"),
)


class BenchSettings(ConnectionSettings):
    """The settings of `fleetprice bench`, read from FLEETPRICE_BENCH_… variables."""

    model_config = SettingsConfigDict(env_prefix="FLEETPRICE_BENCH_")
    service: ClassVar[str] = "BENCH"

    only: str = Field("", description="Figures to measure, separated by commas; default: all")
    rounds: int = Field(
        3, ge=1, le=100, description="Laps of ours and of the floor, in turn; the median counts"
    )
    scale: float = Field(
        1.0, gt=0, le=100, description="Factor of the default load: more is steadier and slower"
    )
    prefetch: int = Field(3_000, ge=1, description="Events that a link prefetches, ours and the floor's")
    as_json: bool = Field(False, description="One JSON object a figure on stdout")

    def names(self) -> list[str]:
        """Return the names of the figures to measure; all figures if `only` is empty.

        Raises SettingsError if `only` names an unknown figure.
        """
        named = [word.strip() for word in self.only.split(",") if word.strip()]
        for name in named:
            if name not in FIGURES:
                raise SettingsError(
                    f"FLEETPRICE_BENCH_ONLY: {name!r} is no figure; there are {', '.join(FIGURES)}"
                )
        return named or list(FIGURES)
