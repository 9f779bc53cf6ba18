"""Help on settings, generated from their declarations: variable, default, meaning and unit."""

import textwrap
from collections.abc import Iterable
from enum import Enum
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from shared.service.settings import ConnectionSettings, variable_of

_WIDTH = 100
_INDENT = "      "


def settings_help(kind: type[ConnectionSettings]) -> str:
    """Return a help text on the settings that `kind` adds to the common ones."""
    own = [name for name in kind.model_fields if name not in ConnectionSettings.model_fields]
    return (
        "Settings (environment variables or a .env file; a flag wins over both):\n"
        f"{_list_settings(kind, own)}"
        "Settings of every verb (connections, balancing, logs): `fleetprice settings` shows them.\n"
    )


def common_settings_help() -> str:
    """Return a help text on the settings that every service has."""
    return (
        "Settings of every verb (environment variables or a .env file):\n"
        f"{_list_settings(ConnectionSettings, ConnectionSettings.model_fields)}"
    )


def _list_settings(kind: type[ConnectionSettings], names: Iterable[str]) -> str:
    lines = []
    for name in names:
        field = kind.model_fields[name]
        lines.append(f"  {variable_of(kind, name)} [{_format_default(field)}]")
        lines += textwrap.wrap(
            field.description or "", _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT
        )
    return "\n".join(lines) + "\n"


def _format_default(field: FieldInfo) -> str:
    default: Any = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, SecretStr):
        return "the published development key" if default.get_secret_value() else "not set"
    if isinstance(default, Enum):
        return str(default.value)
    return "not set" if default is None or default == "" else str(default)
