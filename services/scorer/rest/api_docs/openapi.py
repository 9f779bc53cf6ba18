"""The OpenAPI 3.1 document of the operations. Pure."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from services.scorer.rest.inference.endpoint import BINARY, HEADER_LENGTH
from services.scorer.rest.inference.errors import INFERENCE, InferenceError
from services.scorer.rest.inference.metadata import (
    about_inputs,
    request_example,
    request_name,
    request_schemas,
)
from services.scorer.rest.operations import MODEL_NAME, OPERATIONS, Health, Operation, Parameter
from services.scorer.rest.prices.endpoint import Price, Prices, Unpriced
from shared import __version__
from shared.http.middleware import REQUEST_ID
from shared.http.problems import CONTENT_TYPE, Problem
from shared.http.request_body import JSON
from shared.registry.model_manifest import Manifest

_SCHEMAS = "#/components/schemas/"
_GUARDED = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_WITH_RETRY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_INTEGER_HEADER = {"schema": {"type": "integer", "minimum": 0}}
_ABOUT = """Market values of vehicles with their interval. Everything that prices takes
`Authorization: Bearer KEY`, a key or a token of Entra ID; refusals are problem documents (RFC 9457)."""


def openapi_document(served: Iterable[str], models: Sequence[Manifest] = ()) -> dict[str, Any]:
    """Describe the operations with the ids `served`; `models` are those that take tensors."""
    ids = set(served)
    operations = [operation for operation in OPERATIONS if operation.id in ids]
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, models)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fleetprice scorer",
            "version": __version__,
            "description": _ABOUT.replace("\n", " "),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": _schemas(operations, models),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key or a token"}
            },
        },
    }


def _schemas(operations: Sequence[Operation], models: Sequence[Manifest]) -> dict[str, Any]:
    """Return the schemas of the operations' types: msgspec derives them from what decodes the requests."""
    types = {kind for operation in operations for kind in (*operation.request, operation.answer)}
    named = sorted(
        (kind for kind in types if _is_type(kind) and kind is not Prices), key=lambda one: one.__name__
    )
    wanted = [*named, Price, Unpriced, Problem, InferenceError]
    _, components = msgspec.json.schema_components(wanted, ref_template=f"{_SCHEMAS}{{name}}")
    # msgspec has no schema for a list of two types of objects, which it can write but not read.
    components["Prices"] = {
        "title": "Prices",
        "description": Prices.__doc__,
        "type": "object",
        "properties": {
            "prices": {"type": "array", "items": {"anyOf": [_reference(Price), _reference(Unpriced)]}},
            "warnings": {
                "type": "array",
                "items": _reference(Problem),
                "description": "Fields and parameters of the request that are not known and were ignored",
            },
        },
        "required": ["prices"],
    }
    for model in models:
        components |= request_schemas(model)
    return dict(sorted(components.items()))


def _operation(operation: Operation, models: Sequence[Manifest]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.about,
        "security": [{"key": []}] if operation.is_guarded else [],
        "responses": {"200": _answer(operation)} | _refusals(operation),
    }
    parameters = [_parameter(parameter, models) for parameter in operation.parameters]
    if parameters:
        described["parameters"] = parameters
    if operation.request:
        content = _tensors(models) if operation.takes_tensors else {JSON: _body(operation)}
        described["requestBody"] = {"required": True, "content": content}
    if operation.takes_tensors:
        described["description"] += f" {about_inputs(models)}."
    return described


def _body(operation: Operation) -> dict[str, Any]:
    references = [_reference(kind) for kind in operation.request]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {"schema": schema, "example": operation.example}


def _tensors(models: Sequence[Manifest]) -> dict[str, Any]:
    """Describe a request to any of the models, with an example for each."""
    schema = {"anyOf": [{"$ref": f"{_SCHEMAS}{request_name(model)}"} for model in models]}
    examples = {model.name: request_example(model) for model in models}
    return {JSON: {"schema": schema, "examples": examples}, BINARY: {}}


def _parameter(parameter: Parameter, models: Sequence[Manifest]) -> dict[str, Any]:
    """Describe a parameter; a model's name is one of the `models`."""
    schema: dict[str, Any] = {"type": "boolean" if parameter.kind is bool else "string"}
    if parameter is MODEL_NAME:
        schema["enum"] = [model.name for model in models]
    return {
        "name": parameter.name,
        "in": "query" if parameter.is_query else "path",
        "required": not parameter.is_query,
        "description": parameter.about,
        "schema": schema,
        "example": parameter.example,
    }


def _answer(operation: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "Done", "headers": _headers()}
    if isinstance(operation.answer, str):
        answer["content"] = {operation.answer: {"schema": {"type": "string"}}}
    elif operation.answer is not None:
        answer["content"] = {JSON: {"schema": _reference(operation.answer)}}
        if operation.takes_tensors:
            answer["content"][BINARY] = {}
            answer["headers"][HEADER_LENGTH] = _INTEGER_HEADER
    return answer


def _refusals(operation: Operation) -> dict[str, Any]:
    statuses = {*operation.refusals, *(_GUARDED if operation.is_guarded else ())}
    responses = {
        str(status.value): {
            "description": status.phrase,
            "headers": _headers(status),
            "content": _refusal_content(operation),
        }
        for status in sorted(statuses)
    }
    if operation.answer is Health and operation.path == "/readyz":
        health = {"schema": _reference(Health)}
        responses["503"] = {"description": "Not ready", "headers": _headers(), "content": {JSON: health}}
    if not operation.is_guarded and operation.path.startswith(INFERENCE):
        for response in responses.values():
            response.pop("content")
    return responses


def _refusal_content(operation: Operation) -> dict[str, Any]:
    if operation.path.startswith(INFERENCE):
        return {JSON: {"schema": _reference(InferenceError)}}
    return {CONTENT_TYPE: {"schema": _reference(Problem)}}


def _headers(status: HTTPStatus = HTTPStatus.OK) -> dict[str, Any]:
    headers: dict[str, Any] = {REQUEST_ID: {"schema": {"type": "string"}}}
    if status in _WITH_RETRY:
        headers["Retry-After"] = _INTEGER_HEADER
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}}
    return headers


def _reference(kind: Any) -> dict[str, str]:
    return {"$ref": f"{_SCHEMAS}{kind.__name__}"}


def _is_type(kind: Any) -> bool:
    return isinstance(kind, type)
