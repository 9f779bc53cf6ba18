"""A user's own contract: the JSON Schema of its records, in the form of docs/schemas.

Fields that it does not declare are kept in `extra`, so the smallest contract, `{"type": "object"}`, keeps
every record whole. A rule that ingest would not enforce is refused, never ignored.
"""

import keyword
import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from shared.contract.columns import MAX_RECORD_BYTES, Contract, contract_from_record
from shared.service.errors import SettingsError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_INT64 = (-(2**63), 2**63 - 1)
_FINITE = (-1.7976931348623157e308, 1.7976931348623157e308)
_MAX_ITEMS = 1_000
# The lake's folders have these names, so no raw column may.
_PARTITIONS = frozenset({"date", "hour"})
# Keywords for people and other tools.
_ABOUT = frozenset({"title", "description", "$schema", "$id", "$comment", "examples", "deprecated", "format"})
_RECORD = _ABOUT | {"type", "properties", "required", "additionalProperties", "version"}
_BY_TYPE = {
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "string": {"minLength", "maxLength"},
    "boolean": set(),
    "array": {"items", "maxItems"},
}


def contract_from_schema(stream: str, data: bytes) -> Contract:
    """Build the contract that a JSON Schema declares. Raises SettingsError if ingest cannot enforce it."""
    try:
        schema = msgspec.json.decode(data, type=dict[str, Any])
        return _build_contract(stream, _find_record_schema(schema))
    except (msgspec.MsgspecError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"the contract of {stream} cannot be read: {error}") from error


def _find_record_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the record's own schema; msgspec and others put it among the definitions."""
    if "$ref" not in schema:
        return schema
    definition: Mapping[str, Any] = schema["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return definition


def _build_contract(stream: str, record: Mapping[str, Any]) -> Contract:
    _refuse_unknown_words(record, _RECORD, "a record")
    if record.get("type") != "object":
        raise ValueError("a record is of type object")
    required = record.get("required", [])
    properties = record.get("properties", {})
    if undeclared := sorted(set(required) - set(properties)):
        raise ValueError(f"required but not declared: {', '.join(undeclared)}")
    _refuse_names(properties, {*contract_from_record(_struct(stream, []), 1).raw_schema.names, *_PARTITIONS})
    fields = [_field(name, one, is_required=name in required) for name, one in properties.items()]
    return contract_from_record(_struct(stream, fields), int(record.get("version", 1)))


def _refuse_names(names: Iterable[str], reserved: AbstractSet[str]) -> None:
    """Raise ValueError if a field cannot be a column beside the others.

    DuckDB, Spark and others ignore the case of a column's name.
    """
    taken: dict[str, str] = {}
    for name in names:
        if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name.lower() in reserved:
            raise ValueError(f"no column can be named {name}: leave it undeclared, it is kept in extra")
        if name.lower() in taken:
            raise ValueError(f"{taken[name.lower()]} and {name} differ only by case: leave one undeclared")
        taken[name.lower()] = name


def _struct(stream: str, fields: list[Any]) -> type[Struct]:
    return msgspec.defstruct(
        stream, fields, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
    )


def _field(name: str, declared: Mapping[str, Any], *, is_required: bool) -> tuple[Any, ...]:
    one, is_nullable = _without_null(declared)
    default = declared.get("default", one.get("default"))
    try:
        kind = _python_type(one)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if is_required and (is_nullable or default is not None):
        raise ValueError(f"{name} is required: it can neither be null nor have a default")
    if is_required:
        return (name, kind)
    if default is not None:
        return (name, kind, msgspec.convert(default, kind))
    return (name, kind | None, None)


def _without_null(declared: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Return a field's schema, and True if it allows null, by `anyOf` or by a list of types."""
    if "anyOf" in declared:
        others = [one for one in declared["anyOf"] if one.get("type") != "null"]
        if len(others) == 1 and len(declared["anyOf"]) > 1:
            return others[0], True
    if isinstance(declared.get("type"), list):
        types = [one for one in declared["type"] if one != "null"]
        if len(types) == 1:
            return {**declared, "type": types[0]}, len(declared["type"]) > 1
    return declared, False


def _python_type(declared: Mapping[str, Any]) -> Any:
    name = declared.get("type")
    if name not in _BY_TYPE:
        types = ", ".join(_BY_TYPE)
        raise ValueError(f"type is one of {types}; leave others undeclared, they are kept in extra")
    _refuse_unknown_words(declared, _ABOUT | {"type", "default", *_BY_TYPE[name]}, name)
    match name:
        case "integer":
            low, high = declared.get("minimum", _INT64[0]), declared.get("maximum", _INT64[1])
            return Annotated[int, Meta(ge=int(low), le=int(high))]
        case "number":
            low, high = declared.get("minimum", _FINITE[0]), declared.get("maximum", _FINITE[1])
            return Annotated[float, Meta(ge=low, le=high)]
        case "boolean":
            return bool
        case "array":
            max_items = declared.get("maxItems", _MAX_ITEMS)
            items = _python_type(declared["items"])
            # A type built at run time: msgspec accepts it, mypy does not.
            return Annotated[tuple[items, ...], Meta(max_length=max_items)]  # type: ignore[valid-type]
    if declared.get("format") == "date-time":
        return Annotated[datetime, Meta(tz=True)]
    min_length, max_length = declared.get("minLength", 0), declared.get("maxLength", MAX_RECORD_BYTES)
    return Annotated[str, Meta(min_length=min_length, max_length=max_length)]


def _refuse_unknown_words(
    declared: Mapping[str, Any], known: set[str] | frozenset[str], subject: str
) -> None:
    if unknown := sorted(word for word in declared if word not in known and not word.startswith("x-")):
        raise ValueError(f"{subject} with {', '.join(unknown)} is more than ingest can hold")
