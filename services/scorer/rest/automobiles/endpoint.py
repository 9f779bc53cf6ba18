"""`POST /score`: what the published Car Price Predictor app asks, answered as it expects."""

from aiohttp import web

from services.scorer.rest.automobiles.requests import decode_automobiles, encode_scores
from services.scorer.rest.unknown_names import find_unknown_parameters, write_warnings
from shared.http.middleware import CALLER
from shared.http.request_body import JSON, read_body, require_content_type
from shared.http.responses import Answer
from shared.pricing.automobile import ActiveAutomobileModel


class AutomobileEndpoint:
    """The endpoint of the served automobile model."""

    def __init__(self, served: ActiveAutomobileModel) -> None:
        self._served = served

    async def handle(self, request: web.Request) -> Answer:
        """Price every row. Raises Refusal if one cannot be priced: the app has no errors beside results."""
        require_content_type(request, (JSON,))
        rows = decode_automobiles(await read_body(request))
        if len(rows.sent) > 1:
            request[CALLER].charge(len(rows.sent) - 1)  # the middleware charged one
        prices = self._served.pricer.price(rows.given)
        warnings = write_warnings(rows.unknown, find_unknown_parameters(request.query, ()))
        return Answer(encode_scores(rows.sent, prices, warnings), JSON)
