"""JSON Schemas and docs/contract.md, generated from the contract's declarations."""

from typing import Any

import msgspec
from msgspec import inspect

from shared.contract.columns import BY_STREAM, Contract, declared_fields, plain_type

_INTRO = """# The contract

Generated from `shared/contract/` by `python -m shared.contract`; a test keeps it so.

An event carries 1..n records: `application/json` (one, or an array), `application/x-ndjson` (a record a
line) or `application/vnd.apache.arrow.stream` (a record a row). If the content type is absent, the first
bytes decide. The body is in data sections, or an AMQP value of text or binary. With the content encoding
`gzip` it is expanded, to at most 32 MiB; other content encodings are ignored.

A JSON record may be on many lines (it is one record), begin with a UTF-8 byte order mark, and write a whole
number as `2017.0`. An element of an array that is not valid JSON is a dead letter; the others land.

Arrow columns may have other types than those below, as libraries write them by default:

| column below | taken from |
|---|---|
| string | string, large_string, string_view; binary, large_binary, binary_view that hold UTF-8 |
| int32, int64 | any integer, float or decimal type, if the value is whole and in range |
| double | any integer, float or decimal type |
| timestamp | a timestamp of any unit with any time zone, cut to microseconds; refused without a zone |
| any | a dictionary or runs of these; an absent column, or one of type null, if it is not required |

A value that does not fit costs its row; a column of another kind costs the body, in one dead letter that
names the types. Unknown columns of any type are kept in `extra`: nested ones as JSON, bytes as base64, times
as ISO 8601 (nanoseconds with nine digits, years beyond 9999 with a sign), decimals and NaN as text.
Several streams in one body are read one after the other. An Arrow *file* is refused: write a stream. A body
holds at most 20,000 rows and 32 MiB uncompressed, a value that is used many times counted each time.

Fields not listed here are kept in the column `extra` as a JSON object. A record outside a range below is a
dead letter; a record inside it but outside the model's training range is priced and flagged.
Every raw row also has `partition` (int32), `sequence_number` (int64), `offset` (string), `line` (int32)
and `enqueued_at` (timestamp[us, UTC]).

The key of a reading is (`vehicle_id`, `reading_no`). The raw zone keeps what was sent, a sender's own
duplicates included.
"""


def json_schema(contract: Contract) -> bytes:
    """Return the JSON Schema of a contract's record, with unknown fields allowed."""
    schema = msgspec.json.schema(contract.record)
    for definition in schema["$defs"].values():
        definition.pop("additionalProperties", None)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def contract_page() -> str:
    """Return docs/contract.md: one table per stream."""
    return _INTRO + "".join(_table(stream, contract) for stream, contract in BY_STREAM.items())


def _table(stream: str, contract: Contract) -> str:
    head = f"\n## {contract.name}, version {contract.version} (stream `{stream}`)\n\n"
    head += "| field | type | unit | range | VSS signal | meaning |\n|---|---|---|---|---|---|\n"
    return head + "".join(_row(field, contract) for field in declared_fields(contract.record))


def _row(field: inspect.Field, contract: Contract) -> str:
    about, meaning = _metadata(field.type)
    column = contract.schema.field(field.encode_name).type
    vss = about.get("vss")
    signal = f"`{vss}`" if vss else ""
    if vss and about.get("factor", 1) != 1:
        signal += f" in {about['vss_unit']}, times {about['factor']:g}"
    meaning = "" if meaning == vss else meaning
    name = f"`{field.encode_name}`" + (" (required)" if field.required else "")
    return f"| {name} | {column} | {about.get('unit', '')} | {_range(field.type)} | {signal} | {meaning} |\n"


def _metadata(declared: inspect.Type) -> tuple[dict[str, Any], str]:
    if isinstance(declared, inspect.UnionType):
        declared = declared.types[0]
    if not isinstance(declared, inspect.Metadata):
        return {}, ""
    return declared.extra or {}, (declared.extra_json_schema or {}).get("description", "")


def _range(declared: inspect.Type) -> str:
    match plain_type(declared)[0]:
        case inspect.IntType(ge=low, le=high) | inspect.FloatType(ge=low, le=high):
            return f"{low:,.10g} to {high:,.10g}" if isinstance(high, float) else f"{low:,} to {high:,}"
        case inspect.StrType(min_length=low, max_length=high):
            return f"{low or 0} to {high} characters"
        case inspect.VarTupleType(max_length=high):
            return f"at most {high}"
    return ""
