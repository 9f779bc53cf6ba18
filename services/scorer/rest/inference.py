"""The Open Inference Protocol, version 2: what ML tooling speaks."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from services.scorer.model import OUTPUTS
from services.scorer.pricing import Columns, Pricer
from services.scorer.rest.bodies import JSON, read_body, refuse_unless
from services.scorer.rest.inference_requests import Rows, decode_rows, encode_answer
from services.scorer.rest.middlewares import CALLER
from services.scorer.rest.problems import Refusal
from services.scorer.rest.shared_runs import SharedRuns
from services.scorer.rest.tensors import BYTES, FP32, TensorRefused
from services.scorer.serving import ServedModel
from shared import __version__

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"


class ServerMetadata(Struct, frozen=True):
    name: str
    version: str
    extensions: Annotated[list[str], Meta(description="binary_tensor_data")]


class TensorMetadata(Struct, frozen=True):
    name: str
    datatype: str
    shape: Annotated[list[int], Meta(description="-1: any number of rows")]


class ModelMetadata(Struct, frozen=True):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class InferenceError(Struct, frozen=True):
    """The one form that the protocol has for errors."""

    error: str


class InferenceEndpoint:
    """The served model under its own name and version."""

    def __init__(
        self, served: ServedModel, runs: SharedRuns, is_ready: Callable[[], bool], body_timeout_s: float
    ) -> None:
        self._served = served
        self._runs = runs
        self._is_ready = is_ready
        self._body_timeout_s = body_timeout_s

    async def server(self, _request: web.Request) -> web.Response:
        return _json(ServerMetadata("fleetprice", __version__, ["binary_tensor_data"]))

    async def live(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def ready(self, _request: web.Request) -> web.Response:
        """The protocol's "no" is a 4xx without a body."""
        return web.Response(status=HTTPStatus.OK if self._is_ready() else HTTPStatus.BAD_REQUEST)

    async def model(self, request: web.Request) -> web.Response:
        manifest = self._named(request).manifest
        widths = ((BYTES, len(manifest.inputs.cat)), (FP32, len(manifest.inputs.num)))
        inputs = [
            TensorMetadata(name, datatype, [-1, width])
            for name, (datatype, width) in zip(("cat", "num"), widths, strict=True)
        ]
        outputs = [TensorMetadata(name, FP32, [-1]) for name in OUTPUTS]
        return _json(ModelMetadata(manifest.name, [manifest.version], "onnx_onnxv1", inputs, outputs))

    async def model_ready(self, request: web.Request) -> web.Response:
        self._named(request)
        return web.Response()

    async def infer(self, request: web.Request) -> web.Response:
        """Raises Refusal where the request as a whole cannot be served."""
        refuse_unless(request, (JSON, BINARY))
        body = await read_body(request, self._body_timeout_s)
        self._runs.refuse_if_full()
        pricer = self._named(request)
        try:
            rows = decode_rows(body, _json_size(request, body), pricer.manifest.inputs)
        except TensorRefused as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, "invalid-tensor", str(error)) from error
        request[CALLER].charge(len(rows.words) - 1)  # one was charged at the entrance
        # Between the look at the model above and the run there is no await: they are of one version.
        pricer, priced = await self._runs.price(lambda pricer: _columns(pricer, rows))
        model = (pricer.manifest.name, pricer.manifest.version)
        answer, json_size = encode_answer(model, rows, (priced.price, priced.lower, priced.upper))
        if json_size is None:
            return web.Response(body=answer, content_type=JSON)
        return web.Response(body=answer, content_type=BINARY, headers={HEADER_LENGTH: str(json_size)})

    def _named(self, request: web.Request) -> Pricer:
        """The model that the path names, if it is the one that is served. Raises Refusal (404)."""
        pricer = self._served.pricer
        name, version = request.match_info["name"], request.match_info.get("version", "")
        if name != pricer.manifest.name or version not in ("", pricer.manifest.version):
            served = f"{pricer.manifest.name}, version {pricer.manifest.version}"
            raise Refusal(HTTPStatus.NOT_FOUND, "no-such-model", f"the model served is {served}")
        return pricer


def _json_size(request: web.Request, body: bytes) -> int:
    given = request.headers.get(HEADER_LENGTH)
    if given is None:
        return len(body)
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(len(body)))):
        raise TensorRefused(f"{HEADER_LENGTH} is no number of bytes of the body")
    return int(given)


def _columns(pricer: Pricer, rows: Rows) -> Columns:
    inputs = pricer.manifest.inputs
    words = dict(zip((one.name for one in inputs.cat), zip(*rows.words, strict=True), strict=True))
    numbers = zip((one.name for one in inputs.num), rows.numbers.T.tolist(), strict=True)
    return {**words, **dict(numbers)}


def _json(value: Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type=JSON)
