"""The Open Inference Protocol, version 2, which ML tooling speaks."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Protocol

import msgspec
import numpy as np
from aiohttp import web
from msgspec import Meta, Struct
from numpy.typing import NDArray

from services.scorer.rest.batching.adaptive_batching import AdaptiveBatcher
from services.scorer.rest.inference.metadata import describe_model
from services.scorer.rest.inference.requests import Rows, decode_rows, encode_answer
from services.scorer.rest.inference.tensors import TensorRefused
from services.scorer.rest.prices.vehicles import PRICING_FIELDS, VEHICLE
from services.scorer.rest.unknown_names import find_unknown_parameters, write_warnings
from shared import __version__
from shared.http.middleware import CALLER
from shared.http.problems import Refusal
from shared.http.request_body import JSON, read_body, require_content_type
from shared.http.responses import Answer
from shared.pricing.automobile import ActiveAutomobileModel
from shared.pricing.pricer import ActivePriceModel
from shared.registry.model_manifest import Manifest

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"


class ServerMetadata(Struct, frozen=True):
    name: str
    version: str
    extensions: Annotated[list[str], Meta(description="binary_tensor_data")]


class ServedInference(Protocol):
    """A model that the protocol serves."""

    @property
    def manifest(self) -> Manifest:
        """The manifest of the version in service."""

    async def price(self, rows: Rows) -> NDArray[np.float64]:
        """Return price, lower, upper [3, N]. Raises Refusal."""


class PriceInference:
    """The price model; its rows are priced together with those of other requests."""

    def __init__(self, served: ActivePriceModel, batcher: AdaptiveBatcher) -> None:
        self._served = served
        self._batcher = batcher

    @property
    def manifest(self) -> Manifest:
        return self._served.pricer.manifest

    async def price(self, rows: Rows) -> NDArray[np.float64]:
        self._batcher.refuse_if_full()
        _, priced = await self._batcher.price(_make_vehicles(self._served.pricer.fields, rows))
        return np.array([amounts for *amounts, _ in priced]).T


class AutomobileInference:
    """The automobile model."""

    def __init__(self, served: ActiveAutomobileModel) -> None:
        self._served = served

    @property
    def manifest(self) -> Manifest:
        return self._served.pricer.manifest

    async def price(self, rows: Rows) -> NDArray[np.float64]:
        return self._served.pricer.price_rows(rows.words, rows.numbers)


class InferenceEndpoint:
    """The served models, each under its own name and version."""

    def __init__(self, models: Sequence[ServedInference], is_ready: Callable[[], bool]) -> None:
        self._models = {one.manifest.name: one for one in models}
        self._is_ready = is_ready

    async def server(self, _request: web.Request) -> web.Response:
        return _json(ServerMetadata("fleetprice", __version__, ["binary_tensor_data"]))

    async def live(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer 200, or 400 without a body, which is the protocol's "not ready"."""
        return web.Response(status=HTTPStatus.OK if self._is_ready() else HTTPStatus.BAD_REQUEST)

    async def model(self, request: web.Request) -> web.Response:
        return _json(describe_model(self._find_model(request).manifest))

    async def model_ready(self, request: web.Request) -> web.Response:
        self._find_model(request)
        return web.Response()

    async def infer(self, request: web.Request) -> web.StreamResponse:
        """Price the request's tensors. Raises Refusal if it cannot be served as a whole."""
        require_content_type(request, (JSON, BINARY))
        body = await read_body(request)
        model = self._find_model(request)
        # No await from here to the run: manifest and prices are of one version.
        manifest = model.manifest
        try:
            rows = decode_rows(body, _read_json_size(request, body), manifest.inputs)
        except TensorRefused as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, "invalid-tensor", str(error)) from error
        request[CALLER].charge(len(rows.words) - 1)  # the middleware charged one
        amounts = await model.price(rows)
        ignored = write_warnings(rows.unknown, find_unknown_parameters(request.query, ()))
        warnings = "; ".join(one.detail for one in ignored)
        answer, json_size = encode_answer((manifest.name, manifest.version), rows, list(amounts), warnings)
        if json_size is None:
            return Answer(answer, JSON)
        response = Answer(answer, BINARY)
        response.headers[HEADER_LENGTH] = str(json_size)
        return response

    def _find_model(self, request: web.Request) -> ServedInference:
        """Return the served model that the path names. Raises Refusal (404) if there is none."""
        model = self._models.get(request.match_info["name"])
        version = request.match_info.get("version", "")
        if model is None or version not in ("", model.manifest.version):
            served = ", ".join(f"{name} {one.manifest.version}" for name, one in self._models.items())
            raise Refusal(HTTPStatus.NOT_FOUND, "no-such-model", f"the models and versions served: {served}")
        return model


def _read_json_size(request: web.Request, body: bytes) -> int:
    """Return the length of the JSON that starts the body. Raises TensorRefused for an invalid header."""
    given = request.headers.get(HEADER_LENGTH)
    if given is None:
        return len(body)
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(len(body)))):
        raise TensorRefused(f"{HEADER_LENGTH} is no number of bytes of the body")
    return int(given)


def _make_vehicles(fields: Sequence[str], rows: Rows) -> list[Struct]:
    """Return a vehicle for each row; `fields` are those that the model takes, in its order."""
    missing = dict.fromkeys(PRICING_FIELDS)
    values = zip(rows.words, rows.numbers.tolist(), strict=True)
    return [
        VEHICLE(**{**missing, **dict(zip(fields, (*words, *numbers), strict=True))})
        for words, numbers in values
    ]


def _json(value: Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type=JSON)
