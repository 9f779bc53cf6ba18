"""`POST /v1/prices`: one vehicle or up to 1,000, priced in one run of the model."""

from collections.abc import Iterator, Sequence
from http import HTTPStatus

import msgspec
from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

from services.scorer.rest.problems import Problem, Refusal
from services.scorer.rest.vehicles import Id, Item, decode_vehicles
from services.scorer.serving import ServedModel

_JSON = "application/json"


class Price(Struct, frozen=True):
    """The market price of one vehicle; `extrapolated` names the fields that training did not cover."""

    id: Id | UnsetType
    price: float
    lower: float
    upper: float
    currency: str
    coverage: float
    model: str
    version: str
    extrapolated: tuple[str, ...]


class Unpriced(Struct, frozen=True):
    """A vehicle that cannot be priced, in its place among the others."""

    id: Id | UnsetType
    error: Problem


class Prices(Struct, frozen=True):
    prices: list[Price | Unpriced]


class PricesEndpoint:
    """Reads the request, prices what can be priced, answers item by item."""

    def __init__(self, served: ServedModel) -> None:
        self._served = served

    async def handle(self, request: web.Request) -> web.Response:
        """Raises Refusal where the request as a whole cannot be served."""
        _refuse_unless_json(request)
        answer = self._answer(decode_vehicles(await request.read()))
        return web.Response(body=msgspec.json.encode(answer), content_type=_JSON)

    def _answer(self, items: Sequence[Item]) -> Prices:
        prices = self._prices(items)
        return Prices(
            [Unpriced(_echoed(item.id), item.error) if item.error else next(prices) for item in items]
        )

    def _prices(self, items: Sequence[Item]) -> Iterator[Price]:
        """Of those items that hold a vehicle, in order."""
        good = [item for item in items if item.vehicle is not None]
        if not good:
            return
        pricer = self._served.pricer
        priced = pricer.price(pricer.columns_of([item.vehicle for item in good if item.vehicle]))
        manifest = pricer.manifest
        numbers = zip(priced.price.tolist(), priced.lower.tolist(), priced.upper.tolist(), strict=True)
        for item, (price, lower, upper), extrapolated in zip(
            good, numbers, priced.extrapolated(), strict=True
        ):
            yield Price(
                _echoed(item.id),
                price,
                lower,
                upper,
                manifest.currency,
                manifest.coverage,
                manifest.name,
                manifest.version,
                extrapolated,
            )


def _refuse_unless_json(request: web.Request) -> None:
    if request.headers.get("Content-Type") and request.content_type != _JSON:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not-json", f"send {_JSON}")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        refusal = Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "compressed", "send the body uncompressed")
        refusal.headers["Accept-Encoding"] = "identity"  # RFC 7694
        raise refusal


def _echoed(given: Id) -> Id | UnsetType:
    return UNSET if given is None else given
