"""Requests and answers of `POST /score`, in the form of Azure ML's designer that apps were built for."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from services.scorer.rest.unknown_names import UnknownField, find_unknown_fields
from shared.codec.json_text import remove_byte_order_mark
from shared.contract.automobile import NUMBERS, WORDS
from shared.http.json_pointer import pointer_to
from shared.http.problems import Problem, Refusal

MAX_AUTOMOBILES = 1_000
SCORED_LABELS = "Scored Labels"
_ROWS = "/Inputs/WebServiceInput0"

_Word = Annotated[str, Meta(max_length=64)]
_Number = Annotated[float, Meta(ge=-1e9, le=1e9)]
# The app offers digits too: 4 cylinders, 2 doors.
_COUNTED = ("num-of-doors", "num-of-cylinders")
# The app sends the label's column, and Azure ML's clients send global parameters.
_KNOWN = frozenset({*WORDS, *NUMBERS, "price", SCORED_LABELS})
_KNOWN_BESIDE = frozenset({"Inputs", "GlobalParameters"})


def _automobile_type() -> type[Struct]:
    """Return the type of an automobile by the app's names; other fields, such as `price`, are only echoed."""
    words = [(name, _Word | _Number if name in _COUNTED else _Word) for name in WORDS]
    fields: list[Any] = [
        (name.replace("-", "_"), kind | None, msgspec.field(default=None, name=name))
        for name, kind in [*words, *((name, _Number) for name in NUMBERS)]
    ]
    return msgspec.defstruct("Automobile", fields, kw_only=True, frozen=True)


AUTOMOBILE = _automobile_type()


class Inputs(Struct, frozen=True):
    rows: list[Raw] = msgspec.field(name="WebServiceInput0")


class ScoreRequest(Struct, frozen=True):
    """One automobile or several; absent and null fields are missing values."""

    inputs: Inputs = msgspec.field(name="Inputs")


_REQUEST = msgspec.json.Decoder(ScoreRequest)
_AUTOMOBILE: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AUTOMOBILE)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])


class AutomobileRows(Struct, frozen=True):
    """The rows of a request: as sent, their values to price, and the fields that are not known."""

    sent: list[dict[str, Raw]]
    given: list[dict[str, Any]]
    unknown: list[UnknownField]


def decode_automobiles(body: bytes) -> AutomobileRows:
    """Decode the rows of a request. Raises Refusal: 400 no JSON, 422 another shape."""
    body = remove_byte_order_mark(body)
    try:
        body.decode()  # msgspec does not check the encoding of fields that it skips
        rows = _REQUEST.decode(body).inputs.rows
        if not 1 <= len(rows) <= MAX_AUTOMOBILES:
            raise _refusal(f"a request holds 1 to {MAX_AUTOMOBILES} automobiles, not {len(rows)}", _ROWS)
        sent = [_decode_row(_FIELDS, row, place) for place, row in enumerate(rows)]
        given = [_decode_row(_AUTOMOBILE, row, place) for place, row in enumerate(rows)]
    except msgspec.ValidationError as error:
        raise _refusal(str(error), pointer_to(str(error))) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "malformed-json", f"the body is no JSON: {error}") from error
    except RecursionError as error:
        raise _refusal("the body is nested too deep", "") from error
    unknown = find_unknown_fields(body, _KNOWN_BESIDE)
    unknown += [
        UnknownField(f"{_ROWS}/{place}", name)
        for place, row in enumerate(sent)
        if not row.keys() <= _KNOWN
        for name in row
        if name not in _KNOWN
    ]
    return AutomobileRows(sent, [_values(one) for one in given], unknown)


def encode_scores(sent: list[dict[str, Raw]], prices: list[float], warnings: list[Problem]) -> bytes:
    """Return the answer: every row as sent with its price, in the order of the request, and warnings."""
    rows = [row | {SCORED_LABELS: price} for row, price in zip(sent, prices, strict=True)]
    results = {"Results": {"WebServiceOutput0": rows}}
    return msgspec.json.encode(results | {"warnings": warnings} if warnings else results)


def _decode_row(decoder: msgspec.json.Decoder[Any], row: Raw, place: int) -> Any:
    try:
        return decoder.decode(row)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), f"{_ROWS}/{place}{pointer_to(str(error))}") from error


def _values(automobile: Struct) -> dict[str, Any]:
    return {name: getattr(automobile, name.replace("-", "_")) for name in (*WORDS, *NUMBERS)}


def _refusal(detail: str, pointer: str) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-automobile", detail, pointer)
