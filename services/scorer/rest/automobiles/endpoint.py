"""`POST /score`: what the published Car Price Predictor app asks, answered as it expects."""

from aiohttp import web

from services.scorer.rest.automobiles.requests import decode_automobiles, encode_scores
from shared.http.middleware import CALLER
from shared.http.request_body import JSON, read_body, require_content_type
from shared.http.responses import Answer
from shared.pricing.automobile import ActiveAutomobileModel


class AutomobileEndpoint:
    def __init__(self, served: ActiveAutomobileModel) -> None:
        self._served = served

    async def handle(self, request: web.Request) -> Answer:
        """Raises Refusal where a row cannot be priced: the app knows no errors beside results."""
        require_content_type(request, (JSON,))
        sent, given = decode_automobiles(await read_body(request))
        if len(sent) > 1:
            request[CALLER].charge(len(sent) - 1)  # one was charged at the entrance
        prices = self._served.pricer.price(given)
        return Answer(encode_scores(sent, prices), JSON)
