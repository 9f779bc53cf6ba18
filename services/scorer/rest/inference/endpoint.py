"""The Open Inference Protocol, version 2: what ML tooling speaks."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Protocol

import msgspec
import numpy as np
from aiohttp import web
from msgspec import Meta, Struct
from numpy.typing import NDArray

from services.scorer.rest.batching.adaptive_batching import AdaptiveBatcher
from services.scorer.rest.inference.models import metadata_of
from services.scorer.rest.inference.requests import Rows, decode_rows, encode_answer
from services.scorer.rest.inference.tensors import TensorRefused
from services.scorer.rest.prices.vehicles import PRICING_FIELDS, VEHICLE
from shared import __version__
from shared.http.middleware import CALLER
from shared.http.problems import Refusal
from shared.http.request_body import JSON, read_body, require_content_type
from shared.http.responses import Answer
from shared.pricing.automobile import ActiveAutomobileModel
from shared.pricing.pricer import ActivePriceModel
from shared.registry.manifest import Manifest

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"


class ServerMetadata(Struct, frozen=True):
    name: str
    version: str
    extensions: Annotated[list[str], Meta(description="binary_tensor_data")]


class ServedInference(Protocol):
    """A model as the protocol serves it."""

    @property
    def manifest(self) -> Manifest:
        """Of the version that is served now."""

    async def amounts(self, rows: Rows) -> NDArray[np.float64]:
        """Price, lower, upper [3, N]. Raises Refusal."""


class PriceInference:
    """The price model: its rows are priced together with those of other requests."""

    def __init__(self, served: ActivePriceModel, runs: AdaptiveBatcher) -> None:
        self._served = served
        self._runs = runs

    @property
    def manifest(self) -> Manifest:
        return self._served.pricer.manifest

    async def amounts(self, rows: Rows) -> NDArray[np.float64]:
        self._runs.refuse_if_full()
        _, priced = await self._runs.price(_records(self._served.pricer.fields, rows))
        return np.array([amounts for *amounts, _ in priced]).T


class AutomobileInference:
    """The automobile model."""

    def __init__(self, served: ActiveAutomobileModel) -> None:
        self._served = served

    @property
    def manifest(self) -> Manifest:
        return self._served.pricer.manifest

    async def amounts(self, rows: Rows) -> NDArray[np.float64]:
        return self._served.pricer.amounts(rows.words, rows.numbers)


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
        """The protocol's "no" is a 4xx without a body."""
        return web.Response(status=HTTPStatus.OK if self._is_ready() else HTTPStatus.BAD_REQUEST)

    async def model(self, request: web.Request) -> web.Response:
        return _json(metadata_of(self._named(request).manifest))

    async def model_ready(self, request: web.Request) -> web.Response:
        self._named(request)
        return web.Response()

    async def infer(self, request: web.Request) -> web.StreamResponse:
        """Raises Refusal where the request as a whole cannot be served."""
        require_content_type(request, (JSON, BINARY))
        body = await read_body(request)
        model = self._named(request)
        # From this look to the run there is no await: they are of one version.
        manifest = model.manifest
        try:
            rows = decode_rows(body, _json_size(request, body), manifest.inputs)
        except TensorRefused as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, "invalid-tensor", str(error)) from error
        request[CALLER].charge(len(rows.words) - 1)  # one was charged at the entrance
        amounts = await model.amounts(rows)
        answer, json_size = encode_answer((manifest.name, manifest.version), rows, list(amounts))
        if json_size is None:
            return Answer(answer, JSON)
        response = Answer(answer, BINARY)
        response.headers[HEADER_LENGTH] = str(json_size)
        return response

    def _named(self, request: web.Request) -> ServedInference:
        """The model that the path names, if it is one that is served. Raises Refusal (404)."""
        model = self._models.get(request.match_info["name"])
        version = request.match_info.get("version", "")
        if model is None or version not in ("", model.manifest.version):
            served = ", ".join(f"{name} {one.manifest.version}" for name, one in self._models.items())
            raise Refusal(HTTPStatus.NOT_FOUND, "no-such-model", f"the models and versions served: {served}")
        return model


def _json_size(request: web.Request, body: bytes) -> int:
    given = request.headers.get(HEADER_LENGTH)
    if given is None:
        return len(body)
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(len(body)))):
        raise TensorRefused(f"{HEADER_LENGTH} is no number of bytes of the body")
    return int(given)


def _records(fields: Sequence[str], rows: Rows) -> list[Struct]:
    """A vehicle of each row; `fields` are those that the model takes, in its order."""
    unnamed = dict.fromkeys(PRICING_FIELDS)
    values = zip(rows.words, rows.numbers.tolist(), strict=True)
    return [
        VEHICLE(**{**unnamed, **dict(zip(fields, (*words, *numbers), strict=True))})
        for words, numbers in values
    ]


def _json(value: Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type=JSON)
