"""Tensors of the Open Inference Protocol, in JSON and in its binary extension. Pure.

Binary tensors follow the JSON in the order of their inputs. FP32 is little-endian; each element of BYTES
follows its length, which is four bytes, little-endian.
"""

import base64
import struct
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from numpy.typing import NDArray

BYTES, FP32 = "BYTES", "FP32"
MAX_WORD_CHARS = 64

_LENGTH = struct.Struct("<I")
_MAX_FLOAT32 = float(np.finfo(np.float32).max)
_WORDS = msgspec.json.Decoder(list[str | list[str]])
_NUMBERS = msgspec.json.Decoder(list[float | list[float | None] | None])

Parameters = dict[str, Any]

_WORD_CONTENT_TYPES, _NUMBER_CONTENT_TYPES = ("base64", "np", "str"), ("np",)


class TensorRefused(Exception):
    """A tensor that does not match its own header, or that the model does not take."""


class InputTensor(Struct, frozen=True):
    """An input of the model. Its values, row by row, are in `data`, or after the JSON if they are binary."""

    name: Annotated[str, Meta(examples=["cat", "num"])]
    shape: Annotated[list[int], Meta(description="Rows and columns")]
    datatype: Annotated[str, Meta(description="BYTES or FP32, as the model's metadata says")]
    parameters: Parameters | UnsetType = UNSET
    data: Raw | UnsetType = UNSET

    @property
    def binary_size(self) -> int | None:
        """The bytes of the tensor after the JSON; None if its data is in the JSON. Raises TensorRefused."""
        size = None if self.parameters is UNSET else self.parameters.get("binary_data_size")
        if size is None:
            return None
        if self.data is not UNSET or isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise TensorRefused(f"input {self.name}: binary_data_size is a number of bytes, without data")
        return size


def read_words(tensor: InputTensor, binary: memoryview | None, columns: int) -> list[list[str]]:
    """Read a tensor BYTES [N, columns]. Raises TensorRefused."""
    rows = _check_shape(tensor, BYTES, columns)
    content_type = check_content_type(f"input {tensor.name}", tensor.parameters, _WORD_CONTENT_TYPES)
    flat = _decode_words(tensor) if binary is None else list(_split_words(tensor.name, binary))
    if content_type == "base64":
        flat = [_decode_base64(tensor.name, word) for word in flat]
    _check_count(tensor, len(flat), rows * columns)
    if any(len(word) > MAX_WORD_CHARS for word in flat):
        raise TensorRefused(f"input {tensor.name}: an element holds at most {MAX_WORD_CHARS} characters")
    return [flat[start : start + columns] for start in range(0, len(flat), columns)]


def read_numbers(tensor: InputTensor, binary: memoryview | None, columns: int) -> NDArray[np.float32]:
    """Read a tensor FP32 [N, columns]; null and NaN are missing values. Raises TensorRefused."""
    rows = _check_shape(tensor, FP32, columns)
    check_content_type(f"input {tensor.name}", tensor.parameters, _NUMBER_CONTENT_TYPES)
    if binary is None:
        flat = _decode_numbers(tensor)
    elif len(binary) % 4:
        raise TensorRefused(f"input {tensor.name}: {len(binary)} bytes are no FP32")
    else:
        flat = np.frombuffer(binary, dtype="<f4")
    _check_count(tensor, len(flat), rows * columns)
    return flat.reshape(rows, columns)


def split_binary(inputs: Sequence[InputTensor], body: memoryview) -> list[memoryview | None]:
    """Return each input's part of the bytes after the JSON. Raises TensorRefused unless they fit exactly."""
    parts: list[memoryview | None] = []
    start = 0
    for size in (tensor.binary_size for tensor in inputs):
        parts.append(None if size is None else body[start : start + size])
        start += size or 0
    if start != len(body):
        raise TensorRefused(f"{len(body)} bytes follow the JSON, the inputs declare {start}")
    return parts


def check_content_type(
    subject: str, parameters: Parameters | UnsetType, accepted: Collection[str]
) -> str | None:
    """Return the parameter `content_type` of a request or tensor, or None. Raises TensorRefused.

    MLServer's clients name there how values are encoded.
    """
    content_type = None if parameters is UNSET else parameters.get("content_type")
    if content_type is None:
        return None
    if content_type not in accepted:
        shown = str(content_type)[:64]
        raise TensorRefused(
            f"{subject}: the content type {shown} is not supported, only {', '.join(accepted)}"
        )
    return str(content_type)


def _decode_base64(name: str, word: str) -> str:
    try:
        return base64.b64decode(word, validate=True).decode()
    except ValueError as error:
        raise TensorRefused(f"input {name}: an element is not base64 of UTF-8: {error}") from error


def _check_shape(tensor: InputTensor, datatype: str, columns: int) -> int:
    if tensor.datatype != datatype:
        raise TensorRefused(f"input {tensor.name} is {datatype}, not {tensor.datatype[:16]}")
    if len(tensor.shape) != 2 or tensor.shape[0] < 0 or tensor.shape[1] != columns:  # noqa: PLR2004 - rows, columns
        raise TensorRefused(f"input {tensor.name} has the shape [rows, {columns}]")
    return tensor.shape[0]


def _check_count(tensor: InputTensor, found: int, expected: int) -> None:
    if found != expected:
        raise TensorRefused(f"input {tensor.name}: its shape asks for {expected} elements, it has {found}")


def _data_of(tensor: InputTensor) -> Raw:
    if isinstance(tensor.data, UnsetType):
        raise TensorRefused(f"input {tensor.name} has neither data nor binary_data_size")
    return tensor.data


def _decode_words(tensor: InputTensor) -> list[str]:
    try:
        return list(_flatten(_WORDS.decode(_data_of(tensor))))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise TensorRefused(f"input {tensor.name}: {error}") from error


def _decode_numbers(tensor: InputTensor) -> NDArray[np.float32]:
    try:
        numbers = np.array(list(_flatten(_NUMBERS.decode(_data_of(tensor)))), dtype=np.float64)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise TensorRefused(f"input {tensor.name}: {error}") from error
    if (np.abs(numbers) > _MAX_FLOAT32).any():
        raise TensorRefused(f"input {tensor.name}: a number is too large for FP32")
    return numbers.astype(np.float32)


def _flatten(nested: Iterable[Any]) -> Iterable[Any]:
    """Yield the elements row by row, whether the rows are nested lists or not."""
    for one in nested:
        if isinstance(one, list):
            yield from one
        else:
            yield one


def _split_words(name: str, body: memoryview) -> Iterable[str]:
    place = 0
    try:
        while place < len(body):
            (length,) = _LENGTH.unpack_from(body, place)
            place += _LENGTH.size
            if place + length > len(body):
                raise TensorRefused(f"input {name}: an element is longer than what is there")
            yield str(body[place : place + length], "utf-8")
            place += length
    except (struct.error, UnicodeDecodeError) as error:
        raise TensorRefused(f"input {name}: {error}") from error
