"""The connector and flow in deploy/power-platform."""

import json
import re
from pathlib import Path

import pytest

from services.scorer.power_platform.__main__ import files
from services.scorer.power_platform.actions import ACTIONS
from services.scorer.power_platform.definitions import Definitions, display_name, sentence

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy/power-platform"
MAX_DEFINITION_BYTES = 1_000_000
# 2.0 does not know them, or custom connectors refuse them.
REFUSED = {"anyOf", "oneOf", "allOf", "not", "nullable", "const", "examples", "$defs", "discriminator"}


@pytest.fixture(scope="module")
def definition():
    return json.loads((FOLDER / "apiDefinition.swagger.json").read_text())


@pytest.fixture(scope="module")
def properties():
    return json.loads((FOLDER / "apiProperties.json").read_text())["properties"]


def nodes(value):
    """Every object in a document."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(one)


def operations(definition):
    return [one for methods in definition["paths"].values() for one in methods.values()]


def test_the_files_match_the_scorer():
    """The committed files are what `make connector` writes, byte for byte, and no other lies beside them."""
    made = files()
    found = {str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.rglob("*") if path.is_file()}
    assert found == made, "run `make connector` and commit what it writes"


def test_it_is_valid_openapi_2(definition):
    """An independent validator finds no fault with the definition, and finds one that is put in."""
    validator = pytest.importorskip(
        "openapi_spec_validator", reason="openapi-spec-validator is not installed"
    )
    validator.OpenAPIV2SpecValidator(definition).validate()
    broken = json.loads(json.dumps(definition))
    del operations(broken)[0]["responses"]
    with pytest.raises(validator.validation.exceptions.OpenAPIValidationError):
        validator.OpenAPIV2SpecValidator(broken).validate()


def test_nothing_in_it_is_refused_on_import(definition):
    """It has no construct that custom connectors refuse, is small, and asks over HTTPS."""
    for node in nodes(definition):
        assert not REFUSED & node.keys()
        assert not isinstance(node.get("type"), list)
        assert node.keys() == {"$ref"} or "$ref" not in node
    assert len(json.dumps(definition)) < MAX_DEFINITION_BYTES
    assert definition["schemes"] == ["https"]
    assert definition["swagger"] == "2.0"


def test_every_reference_leads_somewhere(definition):
    """Each type that is referred to exists, and each type is referred to."""
    named = {node["$ref"].removeprefix("#/definitions/") for node in nodes(definition) if "$ref" in node}
    assert named == definition["definitions"].keys()


def test_makers_read_names_and_texts(definition):
    """Every action and every input has a name and a text for people; what all need is shown first."""
    described = operations(definition)
    assert [one["operationId"] for one in described] == [action.id for action in ACTIONS]
    for one in described:
        assert one["operationId"].isalpha()
        assert one["operationId"][0].isupper()
        assert one["summary"] != one["description"]
        assert one["description"].endswith(".")
        for parameter in one.get("parameters", ()):
            assert parameter["description"].endswith(".")
            assert parameter["x-ms-summary"]
    vehicle = definition["definitions"]["Vehicle"]["properties"]
    assert vehicle["make"]["x-ms-visibility"] == "important"
    assert vehicle["id"]["x-ms-visibility"] == "advanced"
    assert vehicle["odometer_km"]["x-ms-summary"] == "Odometer (km)"
    assert all("example" in field for field in vehicle.values())
    assert definition["paths"]["/v1/prices"]["post"]["parameters"][1]["default"] is False


def test_the_key_is_asked_for_once_and_kept_secret(definition, properties):
    """A connection asks for the host and the key; the key is hidden and sent as a bearer token."""
    asked = properties["connectionParameters"]
    assert {name: one["type"] for name, one in asked.items()} == {"host": "string", "api_key": "securestring"}
    assert definition["securityDefinitions"].keys() == {"api_key"}
    (header,) = (one for one in properties["policyTemplateInstances"] if one["templateId"] == "setheader")
    assert (
        header["parameters"]["x-ms-apimTemplateParameter.value"] == "Bearer @connectionParameters('api_key')"
    )


def test_the_flow_keeps_its_key_to_itself():
    """The flow is shipped without a key, and keeps the one it is given out of the history of its runs."""
    (path,) = (FOLDER / "flow").rglob("definition.json")
    score = json.loads(path.read_text())["properties"]["definition"]["actions"]["Score"]
    assert score["inputs"]["headers"]["Authorization"] == "Bearer YOUR-KEY"
    assert score["runtimeConfiguration"]["secureData"]["properties"] == ["inputs"]


def block(language):
    """A page's one block of code in a language."""
    page = (ROOT / "docs/power-platform.md").read_text()
    (found,) = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return found


def test_the_teams_card_shows_what_is_answered(definition):
    """The page's card is JSON, and each field that it reads is one of the connector's answer."""
    card = block("json")
    assert json.loads(card)["type"] == "AdaptiveCard"
    read = set(re.findall(r"\['prices'\]\)\?\['(\w+)'\]", card))
    assert {"price", "lower", "upper", "currency"} <= read
    assert read <= definition["definitions"]["PriceOrUnpriced"]["properties"].keys()
    summaries = {one["summary"].replace(" ", "_") for one in operations(definition)}
    assert set(re.findall(r"body\('(\w+)'\)", card)) <= summaries


def test_the_power_bi_queries_name_what_there_is():
    """Each column that the page's queries take is one of a prediction's."""
    schema = json.loads((ROOT / "docs/schemas/prediction-1.json").read_text())
    columns = schema["$defs"]["Prediction"]["properties"].keys()
    page = (ROOT / "docs/power-platform.md").read_text()
    (selected,) = re.findall(r"SelectColumns\(Recent, \{(.*?)\}\)", page)
    own = {"once", "moment", "readings", "mean", "least", "most", "powerbi", "predictions", "second", "day"}
    taken = set(re.findall(r"\b[a-z_]+\b", block("sql"))) - own
    assert {"price", "currency", "source_line"} <= taken
    assert taken | {one.strip(' "') for one in selected.split(",")} <= columns


def test_alternatives_are_converted_to_2_0():
    """Null is dropped, text or number has no type in an answer, objects are merged."""
    number_or_words = {
        "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}],
        "description": "A",
    }
    schemas = {
        "One": {
            "properties": {"a": {"type": "integer"}, "both": {"type": "string"}},
            "required": ["a", "both"],
        },
        "Other": {"properties": {"b": number_or_words, "both": {"type": "string"}}, "required": ["both"]},
        "Sent": {"properties": {"b": number_or_words}},
    }
    definitions = Definitions(schemas)
    reference = definitions.answer({"anyOf": [{"$ref": "#/c/One"}, {"$ref": "#/c/Other"}]})
    definitions.request("Sent")
    made = definitions.collected()
    assert reference == {"$ref": "#/definitions/OneOrOther"}
    assert made["OneOrOther"]["required"] == ["both"]
    assert made["OneOrOther"]["properties"]["b"] == {"description": "A.", "x-ms-summary": "B"}
    assert made["Sent"]["properties"]["b"]["type"] == "string"


def test_texts_are_for_people():
    """Units are in brackets, code marks and line breaks are removed, sentences end in a full stop."""
    assert display_name("rated_consumption_l_100km") == "Rated consumption (l/100 km)"
    assert display_name("peak-rpm") == "Peak RPM"
    assert sentence("`a` and\n  b") == "a and b."
