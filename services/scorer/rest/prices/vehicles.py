"""The vehicles of a request, decoded one by one, so that a bad one is an error in its place only."""

from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

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


# The type of a valid vehicle alone, decoded in one step; anything else is decoded step by step.
_Lone = msgspec.defstruct(
    "_Lone",
    [("vehicles", UnsetType | Any, UNSET)],
    bases=(VEHICLE,),
    kw_only=True,
    frozen=True,
)


class _Identified(Struct):
    id: _DeclaredId = None


_LONE: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Lone)
_REQUEST = msgspec.json.Decoder(_Request)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_VEHICLE: msgspec.json.Decoder[Any] = msgspec.json.Decoder(VEHICLE)
_IDENTIFIED = msgspec.json.Decoder(_Identified)
_TOO_DEEP = "the body is nested too deep"


class Item(Struct, frozen=True):
    """One vehicle of a request, or its error."""

    id: Id
    vehicle: Struct | None = None
    error: Problem | None = None


def decode_vehicles(body: bytes) -> list[Item]:
    """Decode `{"vehicles": [...]}` or one vehicle's object alone. Raises Refusal if the body is neither."""
    try:
        body.decode()  # msgspec does not check the encoding of fields that it skips
        if (lone := _decode_lone(body)) is not None:
            return [Item(lone.id, lone)]
        vehicles = _REQUEST.decode(body).vehicles
        if isinstance(vehicles, UnsetType):
            _check_fields(body)
            return [_decode_item(body, "")]
    except msgspec.ValidationError as error:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-body", str(error), pointer_to(str(error))
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "malformed-json", f"the body is no JSON: {error}") from error
    except RecursionError as error:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "too-deep", _TOO_DEEP) from error
    _check_count(vehicles)
    return [_decode_item(raw, f"/vehicles/{index}") for index, raw in enumerate(vehicles)]


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


def _decode_item(raw: Raw | bytes, place: str) -> Item:
    try:
        vehicle = _VEHICLE.decode(raw)
    except msgspec.MsgspecError as error:
        detail = str(error)
        problem = Problem(
            kind_uri("invalid-vehicle"), "Invalid vehicle", detail, pointer=place + pointer_to(detail)
        )
        return Item(_decode_id(raw), error=problem)
    except RecursionError:
        return Item(None, error=Problem(kind_uri("too-deep"), "Too deep", _TOO_DEEP, pointer=place))
    return Item(vehicle.id, vehicle)


def _decode_id(raw: Raw | bytes) -> Id:
    """Return the id of a vehicle that has another fault, so that its sender can find it."""
    with suppress(msgspec.MsgspecError, RecursionError):
        return _IDENTIFIED.decode(raw).id
    return None
