"""Settings: `FLEETPRICE_…` variables or a `.env` file, read once into one frozen object per service.

pydantic-settings ignores a misspelt variable, but `read_settings` raises SettingsError for one.
Each service declares its settings in a subclass of `ConnectionSettings`, with
`env_prefix="FLEETPRICE_<SERVICE>_"`.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.service.addresses import explain_unresolved, host_of_hubs, host_of_storage, is_loopback
from shared.service.errors import InvalidOverride, SettingsError

PREFIX = "FLEETPRICE_"
# A variable with another service's prefix is left to that service; any other unknown one is a mistake.
SERVICES = (
    "SIMULATOR",
    "INGEST",
    "SCORER",
    "TRAINER",
    "EMULATOR",
    "CONSOLE",
    "UP",
    "VERIFY",
    "TAIL",
    "DEAD_LETTERS",
    "BENCH",
    "CHAOS",
    "COMPACTION",
)

DEVELOPMENT_KEYS = (
    "SAS_KEY_VALUE",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/",
)


class ConnectionSettings(BaseSettings):
    """The settings that every service has: addresses of hubs and storage, partition balancing and logs."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, env_file=".env", allow_inf_nan=False
    )
    service: ClassVar[str] = ""

    event_hubs: SecretStr = Field(
        SecretStr(""),
        validation_alias=f"{PREFIX}EVENT_HUBS",
        description="Event Hubs: a connection string, or a namespace (DefaultAzureCredential signs in)",
    )
    storage: SecretStr = Field(
        SecretStr(""),
        validation_alias=f"{PREFIX}STORAGE",
        description="The lake's account: a connection string, or its blob URL (DefaultAzureCredential)",
    )
    checkpoints: SecretStr = Field(
        SecretStr(""),
        validation_alias=f"{PREFIX}CHECKPOINTS",
        description="Account of the checkpoints, if it is not the lake's",
    )
    file_system: str = Field(
        "lake", validation_alias=f"{PREFIX}FILE_SYSTEM", description="The lake's file system"
    )
    checkpoint_container: str = Field(
        "checkpoints",
        validation_alias=f"{PREFIX}CHECKPOINT_CONTAINER",
        description="Container of checkpoints and partition ownership",
    )
    telemetry_hub: str = Field(
        "telemetry", validation_alias=f"{PREFIX}TELEMETRY_HUB", description="The hub of readings"
    )
    predictions_hub: str = Field(
        "predictions", validation_alias=f"{PREFIX}PREDICTIONS_HUB", description="The hub of predictions"
    )
    balancing_interval_s: float = Field(
        10.0,
        gt=0,
        validation_alias=f"{PREFIX}BALANCING_INTERVAL_S",
        description="Time between two balancings of partitions across processes, seconds",
    )
    ownership_expiry_s: float = Field(
        60.0,
        gt=0,
        validation_alias=f"{PREFIX}OWNERSHIP_EXPIRY_S",
        description="Time after which a silent owner loses its partitions, seconds",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", validation_alias=f"{PREFIX}LOG_LEVEL", description="Lowest level that is logged"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto",
        validation_alias=f"{PREFIX}LOG_FORMAT",
        description="JSON lines, or text for people; auto: text on a terminal",
    )
    failpoints: str = Field(
        "",
        validation_alias=f"{PREFIX}FAILPOINTS",
        description="For tests, on loopback alone: NAME=EVERY*TIMES,… kills the process there",
    )
    failpoints_log: Path = Field(
        Path("failpoints.log"),
        validation_alias=f"{PREFIX}FAILPOINTS_LOG",
        description="File in which failpoints count their kills",
    )
    parent_pid: int = Field(
        0,
        ge=0,
        validation_alias=f"{PREFIX}PARENT_PID",
        description="End when this process ends (set by `fleetprice up` for its children)",
    )


S = TypeVar("S", bound=ConnectionSettings)


def read_settings(kind: type[S], overrides: Mapping[str, Any] | None = None) -> S:
    """Read settings of `kind` from the environment and `.env`; `overrides` (the given flags) win over both.

    Raises SettingsError, with a one-line message, if a variable is misspelt or a value is out of bounds.
    Raises InvalidOverride if that value comes from `overrides`.
    """
    given = {**_env_file(), **{k: v for k, v in os.environ.items() if k.upper().startswith(PREFIX)}}
    _refuse_misspelt(kind, given)
    values = {k: v for k, v in (overrides or {}).items() if v is not None}
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        variable = variable_of(kind, place)
        if place in values:
            raise InvalidOverride(variable, place, first["msg"]) from error
        raise SettingsError(f"{variable}: {first['msg']}") from error


def require_address(settings: ConnectionSettings, field: str) -> str:
    """Return the address in the settings' field `field`: `event_hubs`, `storage` or `checkpoints`.

    Raises SettingsError if the field is empty, if it has not the form of an address, or if a well-known
    development key is used beyond loopback.
    """
    value: str = getattr(settings, field).get_secret_value()
    variable = variable_of(type(settings), field)
    if not value:
        raise SettingsError(f"{variable} is not set: name a connection string or a namespace")
    host = _host_of(field, value, variable)
    # Checkpoints may be in Azurite, which knows no other key.
    is_known = field != "checkpoints" and any(key in value for key in DEVELOPMENT_KEYS)
    if is_known and not is_loopback(host):
        raise SettingsError(f"{variable} uses the well-known development key beyond loopback")
    return value


def find_unresolved(settings: ConnectionSettings) -> dict[str, str]:
    """Return, by environment variable, a sentence for each address that is malformed or names no machine."""
    found = {}
    for field in ("event_hubs", "storage", "checkpoints"):
        value: str = getattr(settings, field).get_secret_value()
        variable = variable_of(type(settings), field)
        try:
            reason = explain_unresolved(_host_of(field, value, variable), variable) if value else None
        except SettingsError as error:
            reason = str(error)
        if reason is not None:
            found[variable] = reason
    return found


def _host_of(field: str, address: str, variable: str) -> str:
    return (host_of_hubs if field == "event_hubs" else host_of_storage)(address, variable)


def variable_of(kind: type[ConnectionSettings], field: str) -> str:
    """Return a field's environment variable: the field's alias, or its name with the service's prefix."""
    info = kind.model_fields.get(field)
    if info is None:
        return field
    return str(info.validation_alias or f"{PREFIX}{kind.service}_{field}".upper())


def environment_of(kind: type[ConnectionSettings], values: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables that pass `values` to a child process.

    `values` maps fields of `kind` to their values; fields with the value None are left out.
    """
    return {variable_of(kind, field): str(value) for field, value in values.items() if value is not None}


def _env_file() -> dict[str, str | None]:
    return {k: v for k, v in dotenv_values(".env").items() if k.upper().startswith(PREFIX)}


def _refuse_misspelt(kind: type[ConnectionSettings], given: Mapping[str, object]) -> None:
    known = {variable_of(kind, name) for name in kind.model_fields}
    others = tuple(f"{PREFIX}{service}_" for service in SERVICES if service != kind.service)
    for name in given:
        if name.upper() in known or name.upper().startswith(others):
            continue
        close = difflib.get_close_matches(name.upper(), known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise SettingsError(f"{name} is not a setting{hint} (--help and `fleetprice settings` list them)")
