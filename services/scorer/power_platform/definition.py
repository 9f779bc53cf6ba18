"""`apiDefinition.swagger.json`: OpenAPI 2.0 for custom connectors, made from the 3.1 document. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.scorer.power_platform.actions import ACTIONS, Action
from services.scorer.power_platform.definitions import Definitions, display_name, sentence
from services.scorer.rest.api_docs.openapi import openapi_document
from shared import __version__
from shared.http.request_body import JSON

# A policy sets the connection's own address; a definition must name one nevertheless.
HOST = "prices.example.com"
KEY = "api_key"

_ABOUT = "Market values of vehicles with their interval, from the scorer of a fleetprice installation."
_KEY_HEADER = {"type": "apiKey", "in": "header", "name": "Authorization"}


def api_definition() -> dict[str, Any]:
    """Return the whole document."""
    served = openapi_document({action.served for action in ACTIONS})
    operations = dict(_operations(served))
    definitions = Definitions(served["components"]["schemas"])
    paths: dict[str, dict[str, Any]] = {}
    for action in ACTIONS:
        path, method, operation = operations[action.served]
        paths.setdefault(action.path or path, {})[method] = _describe(action, operation, definitions)
    return {
        "swagger": "2.0",
        "info": {"title": "fleetprice", "description": _ABOUT, "version": __version__},
        "host": HOST,
        "basePath": "/",
        "schemes": ["https"],
        "consumes": [JSON],
        "produces": [JSON],
        "paths": paths,
        "definitions": definitions.collected(),
        "securityDefinitions": {KEY: _KEY_HEADER},
        "security": [{KEY: []}],
        # A wrong address or key is reported when the connection is made, not when a flow fails at night.
        "x-ms-capabilities": {"testConnection": {"operationId": "ListModels"}},
    }


def _operations(document: Mapping[str, Any]) -> Iterable[tuple[str, tuple[str, str, Mapping[str, Any]]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield operation["operationId"], (path, method, operation)


def _describe(action: Action, operation: Mapping[str, Any], definitions: Definitions) -> dict[str, Any]:
    parameters = [_parameter(one) for one in operation.get("parameters", ())]
    if action.body is not None:
        parameters.insert(0, _body(definitions.request(action.body)))
    answers = {status: _answer(status, one, definitions) for status, one in operation["responses"].items()}
    described: dict[str, Any] = {
        "operationId": action.id,
        "summary": action.summary,
        "description": action.about or sentence(operation["description"]),
        "x-ms-visibility": "important" if action.body else "advanced",
        "responses": answers,
    }
    return described | ({"parameters": parameters} if parameters else {})


def _body(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "body",
        "in": "body",
        "required": True,
        "description": "What is to be priced.",
        "schema": schema,
        "x-ms-summary": "Body",
        "x-ms-visibility": "important",
    }


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    kind = parameter["schema"]["type"]
    described = {
        "name": parameter["name"],
        "in": parameter["in"],
        "required": parameter["required"],
        "type": kind,
        "description": sentence(parameter["description"]),
        "x-ms-summary": display_name(parameter["name"]),
        "x-ms-visibility": "advanced",
    }
    # The designer shows the default of a parameter that is left out.
    return described | ({"default": False} if kind == "boolean" else {})


def _answer(status: str, answer: Mapping[str, Any], definitions: Definitions) -> dict[str, Any]:
    """Describe an answer; only a 200 has a schema, because a flow fails with the text of a refusal."""
    if status != "200":
        return {"description": sentence(answer["description"])}
    reference = answer["content"][JSON]["schema"]
    return {"description": sentence(answer["description"]), "schema": definitions.answer(reference)}
