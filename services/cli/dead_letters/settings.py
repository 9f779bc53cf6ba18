"""The settings of `fleetprice dead-letters`; most are given as flags."""

import os
import re
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.contract.columns import BY_STREAM, Contract
from shared.contract.json_schema import contract_from_schema
from shared.service.errors import SettingsError
from shared.service.settings import PREFIX, ConnectionSettings

_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class DeadLettersSettings(ConnectionSettings):
    """FLEETPRICE_DEAD_LETTERS_…"""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}DEAD_LETTERS_")
    service: ClassVar[str] = "DEAD_LETTERS"

    action: Literal["list", "show", "replay"] = Field("list", description="What to do")
    stream: str = Field("telemetry", description="The stream of the dead letters")
    ids: str = Field(
        "", description="Only these: PARTITION:SEQUENCE[:LINE] as in `list`, separated by commas"
    )
    partition: int | None = Field(None, ge=0, description="Only those of this partition")
    reason: str = Field(
        "",
        description="Only those with this reason: empty, malformed, invalid, too-large, named-by-operator, "
        "poison",
    )
    since: str = Field("", description="Only those enqueued at this RFC 3339 time or later")
    everything: bool = Field(False, description="Replay every one that has not been replayed")
    body: Path | None = Field(
        None, description="Replay the one letter with this file's bytes instead of its own"
    )
    content_type: str = Field("", description="Replay with this content type instead of the letters' own")
    letters: Path | None = Field(
        None, description="Replay the letters of this file: lines of `show --json`, edited"
    )
    dry_run: bool = Field(False, description="Report what would be replayed, and send nothing")
    force: bool = Field(False, description="Replay also what would be a dead letter again")
    raw: bool = Field(False, description="Show only the body's bytes")
    as_json: bool = Field(False, description="One JSON object a line on stdout")
    data: Path = Field(
        Path(".fleetprice"), description="Directory of the local stack to use, if no connection string is set"
    )
    contracts: Path | None = Field(
        None,
        validation_alias=f"{PREFIX}INGEST_CONTRACTS",
        description="Folder of the contracts of further streams, as ingest reads it",
    )
    lease_s: float = Field(
        30.0,
        gt=0,
        description="A replay gives up after this time, seconds; after twice as long, the next replay of the "
        "partition takes it over",
    )

    def hub(self) -> str:
        """Return the stream's hub. Raises SettingsError if the stream is unknown."""
        own = {"telemetry": self.telemetry_hub, "predictions": self.predictions_hub}
        if self.stream not in own and not self._contract_file().is_file():
            raise SettingsError(
                f"--stream {self.stream}: there is no such stream; there are {', '.join(own)} "
                "(FLEETPRICE_INGEST_CONTRACTS names a folder with others)"
            )
        return own.get(self.stream, self.stream)

    def contract(self) -> Contract:
        """Return the contract of the stream's records.

        Raises SettingsError if the stream is unknown or its contract cannot be read.
        """
        if self.stream in BY_STREAM:
            return BY_STREAM[self.stream]
        return contract_from_schema(self.stream, self._contract_file().read_bytes())

    def _contract_file(self) -> Path:
        if self.contracts is None or not _STREAM.fullmatch(self.stream):
            return Path(os.devnull)
        return self.contracts / f"{self.stream}.json"
