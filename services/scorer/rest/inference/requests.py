"""Requests and answers of the Open Inference Protocol. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from numpy.typing import NDArray

from services.scorer.rest.inference.tensors import (
    FP32,
    InputTensor,
    Parameters,
    TensorRefused,
    check_content_type,
    read_numbers,
    read_words,
    split_binary,
)
from services.scorer.rest.prices.vehicles import MAX_VEHICLES
from services.scorer.rest.unknown_names import UnknownField, find_unknown_fields
from shared.codec.json_text import expects_whole_number, remove_byte_order_mark, with_whole_numbers
from shared.registry.model_manifest import Inputs

_OUTPUTS = ("price", "lower", "upper")


class WantedOutput(Struct, frozen=True):
    """An output that the caller wants, in binary if `binary_data` is true."""

    name: Annotated[str, Meta(examples=list(_OUTPUTS))]
    parameters: Parameters | UnsetType = UNSET


class InferenceRequest(Struct, frozen=True):
    """Rows to price; without `outputs`, all are returned."""

    inputs: Annotated[list[InputTensor], Meta(description="`cat` and `num`, in any order")]
    id: str | UnsetType = UNSET
    parameters: Parameters | UnsetType = UNSET
    outputs: list[WantedOutput] | UnsetType = UNSET


class OutputTensor(Struct, frozen=True):
    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters | UnsetType = UNSET
    data: list[float] | UnsetType = UNSET


class InferenceResponse(Struct, frozen=True):
    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | UnsetType = UNSET
    parameters: (
        Annotated[Parameters, Meta(description="`warnings`: names in the request that were ignored")]
        | UnsetType
    ) = UNSET


class _RawTensors(Struct, frozen=True):
    inputs: list[Raw]
    outputs: list[Raw] = []


_REQUEST = msgspec.json.Decoder(InferenceRequest)
_TENSORS = msgspec.json.Decoder(_RawTensors)
# The codecs of MLServer that change nothing for a whole request, or for an output.
_REQUEST_CONTENT_TYPES, _OUTPUT_CONTENT_TYPES = ("np", "pd"), ("np",)


@dataclass(frozen=True, slots=True)
class Rows:
    """The two tensors of a request, and the outputs that it wants: name and whether in binary.

    `unknown` are the fields that the protocol does not have.
    """

    id: str | UnsetType
    words: list[list[str]]
    numbers: NDArray[np.float32]
    outputs: tuple[tuple[str, bool], ...]
    unknown: list[UnknownField]


def decode_rows(body: bytes, json_size: int, inputs: Inputs) -> Rows:
    """Decode a body whose first `json_size` bytes are JSON. Raises TensorRefused."""
    if not 0 <= json_size <= len(body):
        raise TensorRefused("Inference-Header-Content-Length is more than the body has")
    try:
        head = remove_byte_order_mark(body[:json_size])
        request = _decode_head(head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TensorRefused(f"the request cannot be read: {error}") from error
    outputs = _wanted_outputs(request)
    binaries = split_binary(request.inputs, memoryview(body)[json_size:])
    given = {tensor.name: (tensor, part) for tensor, part in zip(request.inputs, binaries, strict=True)}
    if given.keys() != {"cat", "num"} or len(request.inputs) != len(given):
        raise TensorRefused("the model takes the inputs cat and num, each once")
    if not all(1 <= (tensor.shape or [0])[0] <= MAX_VEHICLES for tensor in request.inputs):
        raise TensorRefused(f"a request holds 1 to {MAX_VEHICLES} rows")
    words = read_words(*given["cat"], len(inputs.cat))
    numbers = read_numbers(*given["num"], len(inputs.num))
    if len(words) != len(numbers):
        raise TensorRefused(f"cat has {len(words)} rows, num {len(numbers)}")
    return Rows(request.id, words, numbers, outputs, _find_unknown(head))


def _decode_head(head: bytes) -> InferenceRequest:
    try:
        return _REQUEST.decode(head)
    except msgspec.ValidationError as error:
        if not expects_whole_number(error):
            raise
        return _REQUEST.decode(with_whole_numbers(head))


def _find_unknown(head: bytes) -> list[UnknownField]:
    """Return the fields of the request, its inputs and its outputs that the protocol does not have."""
    unknown = find_unknown_fields(head, InferenceRequest.__struct_fields__)
    raw = _TENSORS.decode(head)
    for name, tensors, kind in (("inputs", raw.inputs, InputTensor), ("outputs", raw.outputs, WantedOutput)):
        for number, tensor in enumerate(tensors):
            unknown += find_unknown_fields(bytes(tensor), kind.__struct_fields__, f"/{name}/{number}")
    return unknown


def encode_answer(
    model: tuple[str, str], rows: Rows, amounts: Sequence[NDArray[np.floating[Any]]], warnings: str
) -> tuple[bytes, int | None]:
    """Return the body, and the length of its JSON if binary tensors follow it.

    `amounts` are price, lower, upper.
    """
    by_name = dict(zip(_OUTPUTS, amounts, strict=True))
    outputs: list[OutputTensor] = []
    binaries: list[bytes] = []
    for name, is_binary in rows.outputs:
        values = by_name[name].astype("<f4")
        if is_binary:
            binaries.append(values.tobytes())
            size = {"binary_data_size": values.nbytes}
            outputs.append(OutputTensor(name, FP32, [len(values)], size))
        else:
            outputs.append(OutputTensor(name, FP32, [len(values)], data=values.tolist()))
    parameters = {"warnings": warnings} if warnings else UNSET
    head = msgspec.json.encode(InferenceResponse(*model, outputs, rows.id, parameters))
    return (b"".join([head, *binaries]), len(head)) if binaries else (head, None)


def _wanted_outputs(request: InferenceRequest) -> tuple[tuple[str, bool], ...]:
    """Return the name of each output that is wanted, and whether in binary. Raises TensorRefused."""
    parameters = {} if request.parameters is UNSET else request.parameters
    check_content_type("the request", parameters, _REQUEST_CONTENT_TYPES)
    all_binary = parameters.get("binary_data_output") is True
    if not request.outputs:  # none named, or an empty list
        return tuple((name, all_binary) for name in _OUTPUTS)
    wanted = {}
    for output in request.outputs:
        if output.name not in _OUTPUTS:
            raise TensorRefused(f"the model has no output {output.name[:64]}: {', '.join(_OUTPUTS)}")
        own = {} if output.parameters is UNSET else output.parameters
        check_content_type(f"output {output.name}", own, _OUTPUT_CONTENT_TYPES)
        wanted[output.name] = own.get("binary_data", all_binary) is True
    return tuple(wanted.items())
