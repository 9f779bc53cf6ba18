"""`apiDefinition.swagger.json`: OpenAPI 2.0, as custom connectors want it, made from our 3.1 (pure)."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.scorer.power_platform.actions import ACTIONS, Action
from services.scorer.power_platform.definitions import Definitions, sentence, spoken
from services.scorer.rest.api_docs.openapi import openapi_document
from shared import __version__
from shared.http.request_body import JSON

# The address is the connection's, by a policy: a definition must name one all the same.
HOST = "prices.example.com"
KEY = "api_key"

_ABOUT = "Market values of vehicles with their interval, from the scorer of a fleetprice installation."
_KEY_HEADER = {"type": "apiKey", "in": "header", "name": "Authorization"}


def api_definition() -> dict[str, Any]:
    """The whole document."""
    served = openapi_document({action.served for action in ACTIONS})
    operations = dict(_operations(served))
    definitions = Definitions(served["components"]["schemas"])
    paths: dict[str, dict[str, Any]] = {}
    for action in ACTIONS:
        path, method, operation = operations[action.served]
        described = _described(action, operation, definitions)
        paths.setdefault(action.path or path, {})[method] = described
    return {
        "swagger": "2.0",
        "info": {"title": "fleetprice", "description": _ABOUT, "version": __version__},
        "host": HOST,
        "basePath": "/",
        "schemes": ["https"],
        "consumes": [JSON],
        "produces": [JSON],
        "paths": paths,
        "definitions": definitions.made(),
        "securityDefinitions": {KEY: _KEY_HEADER},
        "security": [{KEY: []}],
        # A wrong address or key is told when the connection is made, not when a flow fails at night.
        "x-ms-capabilities": {"testConnection": {"operationId": "ListModels"}},
    }


def _operations(document: Mapping[str, Any]) -> Iterable[tuple[str, tuple[str, str, Mapping[str, Any]]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield operation["operationId"], (path, method, operation)


def _described(action: Action, operation: Mapping[str, Any], definitions: Definitions) -> dict[str, Any]:
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
        "x-ms-summary": spoken(parameter["name"]),
        "x-ms-visibility": "advanced",
    }
    # What is left out is false: the designer shows it, so that nobody wonders.
    return described | ({"default": False} if kind == "boolean" else {})


def _answer(status: str, answer: Mapping[str, Any], definitions: Definitions) -> dict[str, Any]:
    """Only what succeeds has a shape: a flow that meets a refusal fails with its text."""
    if status != "200":
        return {"description": sentence(answer["description"])}
    reference = answer["content"][JSON]["schema"]
    return {"description": sentence(answer["description"]), "schema": definitions.answer(reference)}
