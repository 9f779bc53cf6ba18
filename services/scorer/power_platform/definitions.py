"""Types of OpenAPI 3.1 as OpenAPI 2.0 has them: no `anyOf`, no null, names and texts for people (pure)."""

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
# Names of VSS signals describe fields to programs; makers have the field's own name.
_SIGNAL = "Vehicle."
_SELDOM_GIVEN = frozenset({"id", "rated_consumption_l_100km"})

Schema = Mapping[str, Any]


class Definitions:
    """Collects what the operations refer to."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas
        self._made: dict[str, dict[str, Any]] = {}

    def request(self, name: str) -> dict[str, Any]:
        """A reference to a type that is sent."""
        return self._reference(name, is_answer=False)

    def answer(self, schema: Schema) -> dict[str, Any]:
        """An answer's schema."""
        return self._converted(schema, is_answer=True)

    def made(self) -> dict[str, dict[str, Any]]:
        """All that were referred to."""
        return dict(sorted(self._made.items()))

    def _reference(self, name: str, *, is_answer: bool) -> dict[str, Any]:
        if name not in self._made:
            self._made[name] = {}  # a type that holds itself ends here
            self._made[name] = self._object(name, self._schemas[name], is_answer=is_answer)
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
        converted = self._converted(schema, is_answer=is_answer)
        if "$ref" in converted:
            return converted  # nothing may stand beside a reference
        converted["x-ms-summary"] = spoken(field)
        example = _EXAMPLES.get(owner, {})
        if field in example:
            converted["example"] = example[field]
        if not is_answer and owner in _EXAMPLES:
            is_usual = is_required or (field in example and field not in _SELDOM_GIVEN)
            converted["x-ms-visibility"] = "important" if is_usual else "advanced"
        return converted

    def _converted(self, schema: Schema, *, is_answer: bool) -> dict[str, Any]:
        if "$ref" in schema:
            return self._reference(_name(schema), is_answer=is_answer)
        if "anyOf" in schema:
            return self._one_of(schema, is_answer=is_answer)
        converted = {key: schema[key] for key in _KEPT if key in schema}
        if "enum" in schema:
            converted["type"] = "string"
        if "items" in schema:
            converted["items"] = self._converted(schema["items"], is_answer=is_answer)
        if not (about := schema.get("description", _SIGNAL)).startswith(_SIGNAL):
            converted["description"] = sentence(about)
        if "examples" in schema:
            converted["example"] = schema["examples"][0]
        return converted

    def _one_of(self, schema: Schema, *, is_answer: bool) -> dict[str, Any]:
        """2.0 has no alternatives: null is leaving it out, objects are merged, the first of others stands."""
        alternatives = [one for one in schema["anyOf"] if one.get("type") != "null"]
        if all("$ref" in one for one in alternatives):
            return self._merged(alternatives, is_answer=is_answer)
        # A description may stand beside the alternatives or within them.
        outer = {key: value for key, value in schema.items() if key == "description"}
        converted = self._converted(outer | alternatives[0], is_answer=is_answer)
        if is_answer and any(one["type"] == "number" for one in alternatives[1:]):
            # Words or a number come back: a declared type would break on the other. (An id comes back as
            # it was sent, and the connector sends text.)
            del converted["type"]
        return converted

    def _merged(self, references: Sequence[Schema], *, is_answer: bool) -> dict[str, Any]:
        """One object that has the fields of all, and must have those that all must have."""
        names = [_name(reference) for reference in references]
        name = "Or".join(names)
        schemas = [self._schemas[one] for one in names]
        properties = {
            key: value for schema in reversed(schemas) for key, value in schema["properties"].items()
        }
        required = set.intersection(*(set(schema.get("required", ())) for schema in schemas))
        about = " Or: ".join(schema["description"] for schema in schemas if "description" in schema)
        merged = {"properties": properties, "required": sorted(required), "description": about}
        self._made[name] = self._object(name, merged, is_answer=is_answer)
        return {"$ref": f"#/definitions/{name}"}


def sentence(text: str) -> str:
    """Plain words on one line that end in a full stop."""
    plain = " ".join(text.replace("`", "").split())
    return plain if plain.endswith((".", "!", "?", "…")) else f"{plain}."


def spoken(name: str) -> str:
    """A field's name for people, with its unit: `odometer_km` is "Odometer (km)"."""
    for suffix, unit in _UNITS.items():
        if name.endswith(suffix):
            return f"{spoken(name.removesuffix(suffix))} ({unit})"
    words = name.replace("_", " ").replace("-", " ").split(" ")
    shown = " ".join(word.upper() if word in _INITIALS else word for word in words)
    return shown[:1].upper() + shown[1:]


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rsplit("/", 1)[1]
