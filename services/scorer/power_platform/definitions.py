"""Types of OpenAPI 3.1 converted to 2.0: without `anyOf` and null, with display names. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.scorer.rest.api_docs.examples import AUTOMOBILES, VEHICLES

_KEPT = ("type", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "required")
_UNITS = {"_l_100km": "l/100 km", "_km": "km", "_l": "l"}
_INITIALS = frozenset({"id", "mae", "r2", "rpm", "mpg"})
_EXAMPLES: dict[str, Mapping[str, Any]] = {
    "Vehicle": VEHICLES["vehicles"][0],
    "Automobile": AUTOMOBILES["Inputs"]["WebServiceInput0"][0],
}
# The contract describes fields by VSS signals, for programs; makers see the field's own name.
_SIGNAL = "Vehicle."
_SELDOM_GIVEN = frozenset({"id", "rated_consumption_l_100km"})

Schema = Mapping[str, Any]


class Definitions:
    """The collector of the types that the operations refer to."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas
        self._collected: dict[str, dict[str, Any]] = {}

    def request(self, name: str) -> dict[str, Any]:
        """Return a reference to a type of a request."""
        return self._reference(name, is_answer=False)

    def answer(self, schema: Schema) -> dict[str, Any]:
        """Return the schema of an answer."""
        return self._convert(schema, is_answer=True)

    def collected(self) -> dict[str, dict[str, Any]]:
        """Return all types that were referred to, by name."""
        return dict(sorted(self._collected.items()))

    def _reference(self, name: str, *, is_answer: bool) -> dict[str, Any]:
        if name not in self._collected:
            self._collected[name] = {}  # a type that contains itself ends here
            self._collected[name] = self._object(name, self._schemas[name], is_answer=is_answer)
        return {"$ref": f"#/definitions/{name}"}

    def _object(self, name: str, schema: Schema, *, is_answer: bool) -> dict[str, Any]:
        required = schema.get("required", ())
        properties = {
            field: self._property(name, field, one, is_answer=is_answer, is_required=field in required)
            for field, one in schema["properties"].items()
        }
        described: dict[str, Any] = {"type": "object", "properties": properties}
        if required:
            described["required"] = list(required)
        if "description" in schema:
            described["description"] = sentence(schema["description"])
        return described

    def _property(
        self, owner: str, field: str, schema: Schema, *, is_answer: bool, is_required: bool
    ) -> dict[str, Any]:
        converted = self._convert(schema, is_answer=is_answer)
        if "$ref" in converted:
            return converted  # nothing may stand beside a reference
        converted["x-ms-summary"] = display_name(field)
        example = _EXAMPLES.get(owner, {})
        if field in example:
            converted["example"] = example[field]
        if not is_answer and owner in _EXAMPLES:
            is_usual = is_required or (field in example and field not in _SELDOM_GIVEN)
            converted["x-ms-visibility"] = "important" if is_usual else "advanced"
        return converted

    def _convert(self, schema: Schema, *, is_answer: bool) -> dict[str, Any]:
        if "$ref" in schema:
            return self._reference(_name(schema), is_answer=is_answer)
        if "anyOf" in schema:
            return self._convert_alternatives(schema, is_answer=is_answer)
        converted = {key: schema[key] for key in _KEPT if key in schema}
        if "enum" in schema:
            converted["type"] = "string"
        if "items" in schema:
            converted["items"] = self._convert(schema["items"], is_answer=is_answer)
        if not (about := schema.get("description", _SIGNAL)).startswith(_SIGNAL):
            converted["description"] = sentence(about)
        if "examples" in schema:
            converted["example"] = schema["examples"][0]
        return converted

    def _convert_alternatives(self, schema: Schema, *, is_answer: bool) -> dict[str, Any]:
        """Convert alternatives, which 2.0 lacks: drop null, merge objects, else keep the first."""
        alternatives = [one for one in schema["anyOf"] if one.get("type") != "null"]
        if all("$ref" in one for one in alternatives):
            return self._merge(alternatives, is_answer=is_answer)
        # A description may stand beside the alternatives or within them.
        outer = {key: value for key, value in schema.items() if key == "description"}
        converted = self._convert(outer | alternatives[0], is_answer=is_answer)
        if is_answer and any(one["type"] == "number" for one in alternatives[1:]):
            # Text or a number comes back, and a declared type would fail for the other. (An id comes back as
            # it was sent, and the connector sends text.)
            del converted["type"]
        return converted

    def _merge(self, references: Sequence[Schema], *, is_answer: bool) -> dict[str, Any]:
        """Return an object with the fields of all; those that all require are required."""
        names = [_name(reference) for reference in references]
        name = "Or".join(names)
        schemas = [self._schemas[one] for one in names]
        properties = {
            key: value for schema in reversed(schemas) for key, value in schema["properties"].items()
        }
        required = set.intersection(*(set(schema.get("required", ())) for schema in schemas))
        about = " Or: ".join(schema["description"] for schema in schemas if "description" in schema)
        merged = {"properties": properties, "required": sorted(required), "description": about}
        self._collected[name] = self._object(name, merged, is_answer=is_answer)
        return {"$ref": f"#/definitions/{name}"}


def sentence(text: str) -> str:
    """Return the text on one line without code marks, ending in a full stop."""
    plain = " ".join(text.replace("`", "").split())
    return plain if plain.endswith((".", "!", "?", "…")) else f"{plain}."


def display_name(name: str) -> str:
    """Return a field's name for people, with its unit: `odometer_km` is "Odometer (km)"."""
    for suffix, unit in _UNITS.items():
        if name.endswith(suffix):
            return f"{display_name(name.removesuffix(suffix))} ({unit})"
    words = name.replace("_", " ").replace("-", " ").split(" ")
    shown = " ".join(word.upper() if word in _INITIALS else word for word in words)
    return shown[:1].upper() + shown[1:]


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rsplit("/", 1)[1]
