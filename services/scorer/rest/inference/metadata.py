"""The Open Inference Protocol's metadata of a model, and the OpenAPI schemas of its requests. Pure."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from services.scorer.rest.inference.tensors import BYTES, FP32, MAX_WORD_CHARS
from services.scorer.rest.prices.vehicles import MAX_VEHICLES
from shared.pricing.model import OUTPUTS
from shared.registry.model_manifest import Manifest

_SCHEMAS = "#/components/schemas/"


class TensorMetadata(Struct, frozen=True):
    name: str
    datatype: str
    shape: Annotated[list[int], Meta(description="-1: any number of rows")]


class ModelMetadata(Struct, frozen=True):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


def describe_model(manifest: Manifest) -> ModelMetadata:
    widths = (("cat", BYTES, len(manifest.inputs.cat)), ("num", FP32, len(manifest.inputs.num)))
    inputs = [TensorMetadata(name, datatype, [-1, width]) for name, datatype, width in widths]
    outputs = [TensorMetadata(name, FP32, [-1]) for name in OUTPUTS]
    return ModelMetadata(manifest.name, [manifest.version], "onnx_onnxv1", inputs, outputs)


def request_name(manifest: Manifest) -> str:
    """Return the name of the schema of a request to the model."""
    return f"{manifest.name.title()}InferenceRequest"


def request_schemas(manifest: Manifest) -> dict[str, Any]:
    """Return schemas by name: of a request to the model, and of each of its tensors."""
    columns = ([one.name for one in manifest.inputs.cat], [one.name for one in manifest.inputs.num])
    tensors = {
        f"{manifest.name.title()}{one.name.title()}": _tensor_schema(one, names)
        for one, names in zip(describe_model(manifest).inputs, columns, strict=True)
    }
    name = request_name(manifest)
    request = {
        "title": name,
        "description": f"Rows for `{manifest.name}`, and the outputs that are wanted.",
        "allOf": [{"$ref": f"{_SCHEMAS}InferenceRequest"}],
        "properties": {
            "inputs": {
                "type": "array",
                "items": {"anyOf": [{"$ref": f"{_SCHEMAS}{tensor}"} for tensor in tensors]},
                "minItems": len(tensors),
                "maxItems": len(tensors),
                "description": "Each once, in any order",
            }
        },
    }
    return {name: request, **tensors}


def request_example(manifest: Manifest) -> dict[str, Any]:
    """Return an OpenAPI example of a request, made from one of the version's golden rows."""
    golden = manifest.golden[0]
    inputs = [
        {"name": one.name, "datatype": one.datatype, "shape": [1, one.shape[1]], "data": list(row)}
        for one, row in zip(describe_model(manifest).inputs, (golden.cat, golden.num), strict=True)
    ]
    return {"summary": f"To `{manifest.name}`: {golden.title}", "value": {"inputs": inputs}}


def about_inputs(manifests: Sequence[Manifest]) -> str:
    """Return a sentence that says which tensors each model takes."""
    return "; ".join(
        f"`{manifest.name}` takes "
        + " and ".join(
            f"`{one.name}` {one.datatype} [N, {one.shape[1]}]" for one in describe_model(manifest).inputs
        )
        for manifest in manifests
    )


def _tensor_schema(tensor: TensorMetadata, columns: Sequence[str]) -> dict[str, Any]:
    element = (
        {"type": "string", "maxLength": MAX_WORD_CHARS}
        if tensor.datatype == BYTES
        else {"type": ["number", "null"]}
    )
    width = tensor.shape[1]
    row = {"type": "array", "items": element, "minItems": width, "maxItems": width}
    return {
        "allOf": [{"$ref": f"{_SCHEMAS}InputTensor"}],
        "properties": {
            "name": {"type": "string", "enum": [tensor.name]},
            "datatype": {"type": "string", "enum": [tensor.datatype]},
            "shape": {
                "type": "array",
                "prefixItems": [
                    {"type": "integer", "minimum": 1, "maximum": MAX_VEHICLES},
                    {"type": "integer", "enum": [width]},
                ],
                "minItems": 2,
                "maxItems": 2,
                "description": f"Rows and {width} columns",
            },
            "data": {
                "type": "array",
                "items": {"anyOf": [element, row]},
                "description": f"Row by row, flat or nested: {', '.join(columns)}",
            },
        },
    }
