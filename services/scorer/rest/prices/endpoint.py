"""`POST /v1/prices`: one vehicle or up to 1,000, priced in one run of the model."""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType

from services.scorer.rest.batching.adaptive_batching import AdaptiveBatcher
from services.scorer.rest.prices.explanations import ExplanationQueue, check_count, wants_explanation
from services.scorer.rest.prices.vehicles import Id, Item, decode_vehicles
from services.scorer.rest.unknown_names import find_unknown_parameters, write_warnings
from shared.http.middleware import CALLER
from shared.http.problems import Problem
from shared.http.request_body import JSON, read_body, require_content_type
from shared.http.responses import Answer
from shared.pricing.explanation import Explanation
from shared.pricing.pricer import PricedOne
from shared.registry.model_manifest import Manifest


class Price(Struct, frozen=True, kw_only=True):
    """The market price of one vehicle."""

    id: Annotated[Id, Meta(description="The vehicle's id, echoed")] | UnsetType = UNSET
    price: Annotated[float, Meta(description="The market price, in `currency`")]
    lower: Annotated[float, Meta(description="Lower end of the interval")]
    upper: Annotated[float, Meta(description="Upper end of the interval")]
    currency: Annotated[str, Meta(description="ISO 4217", examples=["GBP"])]
    coverage: Annotated[float, Meta(description="The share of sales that fall within the interval")]
    model: str
    version: str
    extrapolated: Annotated[
        tuple[str, ...], Meta(description="Fields whose values were not seen in training")
    ]
    explanation: Annotated[Explanation, Meta(description="With `explain=true`")] | UnsetType = UNSET


class Unpriced(Struct, frozen=True, kw_only=True):
    """A vehicle that cannot be priced, in its place among the others."""

    id: Annotated[Id, Meta(description="The vehicle's id, echoed")] | UnsetType = UNSET
    error: Problem


class Prices(Struct, frozen=True):
    """An answer for each vehicle, in the order of the request."""

    prices: list[Price | Unpriced]
    warnings: list[Problem] | UnsetType = UNSET


_ENCODER = msgspec.json.Encoder()
_PARAMETERS = frozenset({"explain"})


class PricesEndpoint:
    """The endpoint of the price model; each vehicle has its answer in its place."""

    def __init__(self, batcher: AdaptiveBatcher) -> None:
        self._batcher = batcher
        self._explanations = ExplanationQueue()

    async def handle(self, request: web.Request) -> Answer:
        """Price every vehicle that can be. Raises Refusal if the request cannot be served as a whole."""
        require_content_type(request, (JSON,))
        is_explained, unknown_parameters = False, []
        if request.rel_url.raw_query_string:
            is_explained = wants_explanation(request.query)
            unknown_parameters = find_unknown_parameters(request.query, _PARAMETERS)
        body = await read_body(request)
        self._batcher.refuse_if_full()
        given = decode_vehicles(body)
        items = given.items
        if len(items) > 1:
            request[CALLER].charge(len(items) - 1)  # the middleware charged one
        if is_explained:
            check_count(len(items))
        answers = await self._price_items(items, is_explained=is_explained)
        warnings = write_warnings(given.unknown, unknown_parameters)
        return Answer(_ENCODER.encode(Prices(answers, warnings or UNSET)), JSON)

    async def _price_items(self, items: Sequence[Item], *, is_explained: bool) -> list[Price | Unpriced]:
        vehicles = [item.vehicle for item in items if item.vehicle is not None]
        if not vehicles:
            return [_make_error(item.id, item.error) for item in items if item.error]
        pricer, priced = await self._batcher.price(vehicles)
        explanations: Iterable[Explanation | UnsetType] = repeat(UNSET)
        if is_explained:
            explanations = await self._explanations.explain(pricer, vehicles, priced)
        answers = zip(priced, explanations)  # noqa: B905 - one of them may be endless
        return [
            _make_error(item.id, item.error)
            if item.error
            else _make_price(pricer.manifest, item.id, *next(answers))
            for item in items
        ]


def _make_price(
    manifest: Manifest, given: Id, priced: PricedOne, explanation: Explanation | UnsetType
) -> Price:
    price, lower, upper, extrapolated = priced
    return Price(
        id=UNSET if given is None else given,
        price=price,
        lower=lower,
        upper=upper,
        currency=manifest.currency,
        coverage=manifest.coverage,
        model=manifest.name,
        version=manifest.version,
        extrapolated=extrapolated,
        explanation=explanation,
    )


def _make_error(given: Id, error: Problem) -> Unpriced:
    return Unpriced(id=UNSET if given is None else given, error=error)
