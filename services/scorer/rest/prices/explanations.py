"""Explanations for `?explain=true`, limited because one takes a hundred times as long as a price."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from multidict import MultiMapping

from shared.http.problems import Refusal, overloaded
from shared.pricing.explanation import Explainer, Explanation
from shared.pricing.pricer import PricedOne, Pricer

MAX_EXPLAINED = 20
_MAX_WAITING_REQUESTS = 10
_ANSWERS = {"true": True, "false": False}


def wants_explanation(query: MultiMapping[str]) -> bool:
    """Return the value of `explain`. Raises Refusal (422) for anything but `true` and `false`."""
    answer = _ANSWERS.get(query.get("explain", "false"))
    if answer is None:
        raise _refusal("invalid-query", "`explain` is true or false")
    return answer


def check_count(vehicles: int) -> None:
    """Raise Refusal (422) for more vehicles than are explained in one request."""
    if vehicles > MAX_EXPLAINED:
        raise _refusal(
            "vehicle-count", f"at most {MAX_EXPLAINED} vehicles are explained at once, not {vehicles}"
        )


class ExplanationQueue:
    """A queue of requests that are explained in a thread, one at a time; prices are answered meanwhile."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._requests = 0

    async def explain(
        self, pricer: Pricer, vehicles: Sequence[msgspec.Struct], priced: Sequence[PricedOne]
    ) -> list[Explanation]:
        """Explain each vehicle. Raises Refusal: 503 while too many wait, 501 for a version without trees."""
        explainer = pricer.explainer
        if explainer is None:
            detail = f"version {pricer.manifest.version} was written without what explains it"
            raise Refusal(HTTPStatus.NOT_IMPLEMENTED, "not-explainable", detail)
        if self._requests > _MAX_WAITING_REQUESTS:
            raise overloaded()
        self._requests += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(_explain_all, explainer, vehicles, priced)
        finally:
            self._requests -= 1


def _explain_all(
    explainer: Explainer, vehicles: Sequence[msgspec.Struct], priced: Sequence[PricedOne]
) -> list[Explanation]:
    rows = zip(vehicles, priced, strict=True)
    return [
        explainer.explain(msgspec.structs.asdict(vehicle), price, extrapolated)
        for vehicle, (price, _, _, extrapolated) in rows
    ]


def _refusal(kind: str, detail: str) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, kind, detail)
