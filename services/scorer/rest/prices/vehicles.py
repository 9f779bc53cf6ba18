"""The vehicles of a request, decoded one by one, so that a bad one is an error in its place only."""

from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from services.scorer.rest.unknown_names import UnknownField, find_unknown_fields
from shared.codec.json_text import expects_whole_number, remove_byte_order_mark, with_whole_numbers
from shared.contract.reading import Reading
from shared.http.json_pointer import pointer_to
from shared.http.problems import Problem, Refusal, kind_uri

MAX_VEHICLES = 1_000
PRICING_FIELDS = (
    "make",
    "model",
    "year",
    "transmission",
    "fuel_type",
    "engine_l",
    "odometer_km",
    "rated_consumption_l_100km",
)
Id = str | int | None
_DeclaredId = Annotated[str, Meta(max_length=128)] | int | None


def _vehicle_type() -> type[Struct]:
    """Return the type of a vehicle to price; types and bounds of its fields are the telemetry contract's."""
    declared = {field.name: field for field in msgspec.structs.fields(Reading)}
    fields: list[Any] = [("id", _DeclaredId, None)]
    for name in PRICING_FIELDS:
        field = declared[name]
        fields.append((name, field.type) if field.required else (name, field.type, field.default))
    return msgspec.defstruct("Vehicle", fields, kw_only=True, frozen=True)


VEHICLE = _vehicle_type()


class _Request(Struct):
    vehicles: list[Raw] | UnsetType = UNSET


class _StrictRequest(_Request, forbid_unknown_fields=True):
    pass


def _strict_type(name: str, fields: list[Any]) -> type[Struct]:
    return msgspec.defstruct(
        name, fields, bases=(VEHICLE,), kw_only=True, frozen=True, forbid_unknown_fields=True
    )


# The types of valid vehicles, in a list or alone, decoded in one step. Anything else, such as a vehicle with
# an unknown field, is decoded step by step.
_Strict = _strict_type("_Strict", [])
_Lone = _strict_type("_Lone", [("vehicles", UnsetType | Any, UNSET)])


class _Identified(Struct):
    id: _DeclaredId = None


_LONE: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Lone)
_STRICT: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Strict)
_REQUEST = msgspec.json.Decoder(_Request)
_STRICT_REQUEST = msgspec.json.Decoder(_StrictRequest)
_KNOWN = frozenset({"id", *PRICING_FIELDS})
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_VEHICLE: msgspec.json.Decoder[Any] = msgspec.json.Decoder(VEHICLE)
_IDENTIFIED = msgspec.json.Decoder(_Identified)
_TOO_DEEP = "the body is nested too deep"


class Item(Struct, frozen=True):
    """One vehicle of a request, or its error."""

    id: Id
    vehicle: Struct | None = None
    error: Problem | None = None


class VehicleRequest(Struct, frozen=True):
    """The vehicles of a request, and the fields of it that are not known."""

    items: list[Item]
    unknown: Sequence[UnknownField] = ()


def decode_vehicles(body: bytes) -> VehicleRequest:
    """Decode `{"vehicles": [...]}` or one vehicle's object alone.

    Raises Refusal if the body is neither, or if the one vehicle is invalid.
    """
    body = remove_byte_order_mark(body)
    unknown: list[UnknownField] = []
    try:
        body.decode()  # msgspec does not check the encoding of fields that it skips
        if (lone := _decode_lone(body)) is not None:
            return VehicleRequest([Item(lone.id, lone)])
        vehicles = _decode_list(body, unknown)
        if isinstance(vehicles, UnsetType):
            _check_fields(body)
            return VehicleRequest([_decode_only_item(body, unknown)], unknown)
    except msgspec.ValidationError as error:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-body", str(error), pointer_to(str(error))
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "malformed-json", f"the body is no JSON: {error}") from error
    except RecursionError as error:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "too-deep", _TOO_DEEP) from error
    _check_count(vehicles)
    items = [_decode_item(raw, f"/vehicles/{index}", unknown) for index, raw in enumerate(vehicles)]
    return VehicleRequest(items, unknown)


def _decode_list(body: bytes, unknown: list[UnknownField]) -> list[Raw] | UnsetType:
    """Return the list of vehicles, or UNSET if the body has none; add the fields beside it to `unknown`."""
    try:
        return _STRICT_REQUEST.decode(body).vehicles
    except msgspec.ValidationError:
        vehicles = _REQUEST.decode(body).vehicles
    if vehicles is not UNSET:
        unknown += find_unknown_fields(body, {"vehicles"})
    return vehicles


def _decode_lone(body: bytes) -> Any:
    """Return the vehicle if the body is a valid one alone, else None."""
    try:
        lone = _LONE.decode(body)
    except msgspec.ValidationError:
        return None
    return lone if lone.vehicles is UNSET else None


def _check_fields(body: bytes) -> None:
    if not _FIELDS.decode(body).keys() & set(PRICING_FIELDS):
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid-body",
            "the body holds neither `vehicles` nor a vehicle",
            "/vehicles",
        )


def _check_count(vehicles: Sequence[Raw]) -> None:
    if not 1 <= len(vehicles) <= MAX_VEHICLES:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "vehicle-count",
            f"a request holds 1 to {MAX_VEHICLES} vehicles, this one {len(vehicles)}",
            "/vehicles",
        )


def _decode_only_item(body: bytes, unknown: list[UnknownField]) -> Item:
    """Decode a vehicle that is alone. Raises Refusal if it is invalid."""
    item = _decode_item(body, "", unknown)
    if item.error is not None:
        kind = item.error.type.removeprefix(kind_uri(""))
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, kind, item.error.detail, item.error.pointer)
    return item


def _decode_item(raw: Raw | bytes, place: str, unknown: list[UnknownField]) -> Item:
    """Decode the vehicle at `place`, and add its unknown fields to `unknown`."""
    try:
        vehicle = _STRICT.decode(raw)
        return Item(vehicle.id, vehicle)
    except (msgspec.MsgspecError, RecursionError):
        pass  # the reason is found below
    data = bytes(raw)
    unknown += find_unknown_fields(data, _KNOWN, place)
    try:
        vehicle = _decode_vehicle(data)
    except msgspec.MsgspecError as error:
        detail = str(error)
        problem = Problem(
            kind_uri("invalid-vehicle"), "Invalid vehicle", detail, pointer=place + pointer_to(detail)
        )
        return Item(_decode_id(data), error=problem)
    except RecursionError:
        return Item(None, error=Problem(kind_uri("too-deep"), "Too deep", _TOO_DEEP, pointer=place))
    return Item(vehicle.id, vehicle)


def _decode_vehicle(data: bytes) -> Any:
    try:
        return _VEHICLE.decode(data)
    except msgspec.ValidationError as error:
        if not expects_whole_number(error):
            raise
        return _VEHICLE.decode(with_whole_numbers(data))


def _decode_id(raw: bytes) -> Id:
    """Return the id of a vehicle that has another fault, so that its sender can find it."""
    with suppress(msgspec.MsgspecError, RecursionError):
        return _IDENTIFIED.decode(raw).id
    return None
