from pathlib import Path

import msgspec
import pytest

from shared.contract.__main__ import write_reference
from shared.contract.columns import BY_STREAM, READING
from shared.contract.schema_docs import json_schema

DOCS = Path(__file__).parents[4] / "docs"


@pytest.mark.parametrize("name", ["contract.md", "schemas/reading-1.json", "schemas/prediction-1.json"])
def test_the_generated_docs_are_up_to_date(name, tmp_path):
    """The committed page and schemas are what `python -m shared.contract` writes."""
    write_reference(tmp_path)
    assert (DOCS / name).read_text() == (tmp_path / "docs" / name).read_text()


def test_schemas_allow_unknown_fields():
    """A newer sender with more fields validates against the published schema."""
    for contract in BY_STREAM.values():
        definitions = msgspec.json.decode(json_schema(contract))["$defs"]
        assert not any("additionalProperties" in definition for definition in definitions.values())


def test_every_vehicle_signal_names_its_vss_path():
    """The table maps each field of a vehicle to its signal; fields without one are the project's own."""
    page = (DOCS / "contract.md").read_text()
    own = {"vehicle_id", "reading_no", "reading_at", "schema_version", "rated_consumption_l_100km"}
    for name in set(READING.schema.names) - own:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}`") and "Vehicle." in line]
        assert "`Vehicle." in row
