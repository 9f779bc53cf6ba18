"""A user's own contract is the JSON Schema of its records."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from shared.codec.arrow_bodies import write_stream
from shared.codec.body_decoder import ARROW, BodyDecoder
from shared.codec.record_batches import build_batch
from shared.contract.columns import INSTANT, PREDICTION, READING
from shared.contract.json_schema import contract_from_schema
from shared.service.errors import SettingsError

SCHEMAS = Path(__file__).parents[4] / "docs" / "schemas"
VISIT = {
    "type": "object",
    "version": 3,
    "properties": {
        "vehicle_id": {"type": "string", "minLength": 1, "maxLength": 64},
        "visited_at": {"type": "string", "format": "date-time"},
        "left_at": {"type": ["string", "null"], "format": "date-time"},
        "cost": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]},
        "works": {"type": "array", "items": {"type": "string"}, "default": []},
        "is_warranty": {"type": "boolean", "default": False},
        "bay": {"type": "integer", "minimum": -5, "maximum": 200},
    },
    "required": ["vehicle_id", "visited_at"],
}
VISITED = {"vehicle_id": "v1", "visited_at": "2026-03-01T12:00:00Z"}


def visits():
    return contract_from_schema("visits", json.dumps(VISIT).encode())


def decoded(record, content_type="application/json"):
    return BodyDecoder(visits()).decode(json.dumps(record).encode(), content_type)


@pytest.mark.parametrize("contract", [READING, PREDICTION], ids=lambda contract: contract.name)
def test_our_own_schemas_declare_our_own_contracts(contract):
    """The schema in docs/schemas of a built-in stream gives the same columns as the built-in contract."""
    data = (SCHEMAS / f"{contract.name}-{contract.version}.json").read_bytes()
    assert contract_from_schema(contract.name, data).raw_schema == contract.raw_schema


def test_fields_become_columns():
    """Types, version and required fields are as declared."""
    contract = visits()
    assert (contract.name, contract.version) == ("visits", 3)
    assert contract.schema == pa.schema(
        [
            pa.field("vehicle_id", pa.string(), nullable=False),
            pa.field("visited_at", INSTANT, nullable=False),
            ("left_at", INSTANT),
            ("cost", pa.float64()),
            ("works", pa.list_(pa.string())),
            ("is_warranty", pa.bool_()),
            ("bay", pa.int32()),
        ]
    )


def test_a_record_lands_with_its_defaults():
    """A field that a record leaves out has its default, or null."""
    found = decoded(VISITED)
    (row,) = build_batch(visits(), found.records, found.extras).to_pylist()
    assert row == {
        "vehicle_id": "v1",
        "visited_at": datetime(2026, 3, 1, 12, tzinfo=UTC),
        "left_at": None,
        "cost": None,
        "works": [],
        "is_warranty": False,
        "bay": None,
        "extra": None,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"vehicle_id": ""},
        {"cost": -1},
        {"bay": 201},
        {"bay": -6},
        {"visited_at": "2026-03-01T12:00:00"},
        {"left_at": "1700-01-01T00:00:00Z"},
        {"works": [1]},
    ],
    ids=str,
)
def test_a_record_outside_its_contract_is_a_dead_letter(fields):
    """Bounds, time zones and types are enforced as in the built-in streams."""
    found = decoded({**VISITED, **fields})
    assert not found.records
    assert found.bad[0].reason.startswith("invalid")


def test_unknown_fields_are_kept():
    """A field that the contract does not declare is kept in `extra`."""
    assert decoded({**VISITED, "mood": "good"}).extras == ['{"mood":"good"}']


def test_arrow_bodies_are_decoded_too():
    """The same contract decodes Arrow bodies; absent columns have their default."""
    schema = visits().schema
    batch = pa.record_batch(
        [["v1"], pa.array([datetime(2026, 3, 1, tzinfo=UTC)], INSTANT), pa.array([None], INSTANT)],
        schema=pa.schema([schema.field(index) for index in range(3)]),
    )
    found = BodyDecoder(visits()).decode(write_stream(batch), ARROW)
    assert found.batch.to_pylist()[0]["is_warranty"] is False


def test_the_smallest_contract_keeps_every_record_whole():
    """A contract without fields keeps each record as JSON in `extra`."""
    contract = contract_from_schema("anything", b'{"type": "object"}')
    found = BodyDecoder(contract).decode(b'{"a":{"b":[1,null]}}\n{"c": 2}\nno json', "application/x-ndjson")
    assert build_batch(contract, found.records, found.extras).to_pydict() == {
        "extra": ['{"a":{"b":[1,null]}}', '{"c":2}']
    }
    assert len(found.bad) == 1


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("no json", "cannot be read"),
        ("[]", "cannot be read"),
        ({"type": "array"}, "type object"),
        ({"$ref": "#/$defs/A", "$defs": {}}, "cannot be read"),
        ({"type": "object", "properties": []}, "cannot be read"),
        ({"type": "object", "required": ["a"]}, "required but not declared: a"),
        ({"type": "object", "patternProperties": {}}, "patternProperties"),
        ({"type": "object", "properties": {"offset": {"type": "string"}}}, "no column can be named offset"),
        ({"type": "object", "properties": {"hour": {"type": "integer"}}}, "no column can be named hour"),
        ({"type": "object", "properties": {"Offset": {"type": "string"}}}, "no column can be named Offset"),
        ({"type": "object", "properties": {"DATE": {"type": "string"}}}, "no column can be named DATE"),
        (
            {"type": "object", "properties": {"bay": {"type": "string"}, "Bay": {"type": "string"}}},
            "bay and Bay differ only by case",
        ),
        ({"type": "object", "properties": {"a-b": {"type": "string"}}}, "no column can be named a-b"),
        ({"type": "object", "properties": {"a": {"type": "object"}}}, "a: type is one of"),
        ({"type": "object", "properties": {"a": {"type": "string", "enum": ["x"]}}}, "a: string with enum"),
        ({"type": "object", "properties": {"a": {"type": "integer", "minimum": "x"}}}, "cannot be read"),
        (
            {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]},
            "a is required",
        ),
    ],
    ids=str,
)
def test_an_unenforceable_contract_is_refused(schema, message):
    """A schema with rules that ingest would not enforce, or that is no schema, raises SettingsError."""
    data = schema if isinstance(schema, str) else json.dumps(schema)
    with pytest.raises(SettingsError, match=message):
        contract_from_schema("visits", data.encode())
