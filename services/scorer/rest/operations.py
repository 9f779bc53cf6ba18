"""The table of HTTP operations, from which the routes, the OpenAPI document and its page are made."""

from collections.abc import Sequence
from http import HTTPMethod, HTTPStatus
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

from services.scorer.rest.api_docs.examples import AUTOMOBILES, VEHICLES
from services.scorer.rest.automobiles.requests import AUTOMOBILE, MAX_AUTOMOBILES, SCORED_LABELS
from services.scorer.rest.inference.endpoint import ServerMetadata
from services.scorer.rest.inference.metadata import ModelMetadata
from services.scorer.rest.inference.requests import InferenceRequest, InferenceResponse
from services.scorer.rest.models import Models
from services.scorer.rest.prices.endpoint import Prices
from services.scorer.rest.prices.explanations import MAX_EXPLAINED
from services.scorer.rest.prices.vehicles import MAX_VEHICLES, VEHICLE
from shared.http.problems import Problem

# The decoders take the items of a request one by one; these types describe the whole list.
Vehicles = Annotated[list[VEHICLE], Meta(min_length=1, max_length=MAX_VEHICLES)]  # type: ignore[valid-type]
Automobiles = Annotated[list[AUTOMOBILE], Meta(min_length=1, max_length=MAX_AUTOMOBILES)]  # type: ignore[valid-type]


class VehicleList(Struct, frozen=True):
    vehicles: Vehicles


class AutomobileInputs(Struct, frozen=True):
    rows: Automobiles = field(name="WebServiceInput0")


class AutomobileRequest(Struct, frozen=True):
    inputs: AutomobileInputs = field(name="Inputs")


class ScoredAutomobile(Struct, frozen=True):
    """The row as it was sent, and its price in USD."""

    price: float = field(name=SCORED_LABELS)


class AutomobileResults(Struct, frozen=True):
    rows: list[ScoredAutomobile] = field(name="WebServiceOutput0")


class AutomobileAnswer(Struct, frozen=True):
    results: AutomobileResults = field(name="Results")
    warnings: (
        Annotated[list[Problem], Meta(description="Fields and parameters that were ignored")] | UnsetType
    ) = UNSET


class Health(Struct, frozen=True):
    status: Annotated[str, Meta(examples=["ok"])]


class Parameter(Struct, frozen=True):
    """A parameter of type `kind` in the path, or in the query if `is_query`."""

    name: str
    about: str
    example: str | bool
    kind: Any = str
    is_query: bool = False


class Operation(Struct, frozen=True, kw_only=True):
    """An operation. `request` lists the types that a body may have; `answer` is a type, a media type or None.

    If `takes_tensors`, the body holds the input tensors of a model in service, as JSON or binary.
    """

    id: str
    method: HTTPMethod
    path: str
    tag: str
    summary: str
    about: str
    answer: Any = None
    request: Sequence[Any] = ()
    example: Any = None
    takes_tensors: bool = False
    parameters: tuple[Parameter, ...] = ()
    is_guarded: bool = True
    refusals: tuple[HTTPStatus, ...] = ()


_BODY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
_CHECKED_BODY = (*_BODY, HTTPStatus.UNPROCESSABLE_ENTITY)
MODEL_NAME = Parameter("name", "The model", "price")
_VERSION = Parameter("version", "Its version", "1")
_EXPLAIN = Parameter(
    "explain",
    f"Say what each field adds to the price, of at most {MAX_EXPLAINED} vehicles",
    example=True,
    kind=bool,
    is_query=True,
)
_PRICES, _INFERENCE, _OPERATION = "Prices", "Open Inference Protocol", "Operation"


def _inference(path: str, suffix: str, of: str, *parameters: Parameter) -> tuple[Operation, ...]:
    return (
        Operation(
            id=f"inferenceModel{suffix}",
            method=HTTPMethod.GET,
            path=path,
            tag=_INFERENCE,
            summary=f"The inputs and outputs of {of}",
            about="404 where another is served.",
            answer=ModelMetadata,
            parameters=parameters,
            refusals=(HTTPStatus.NOT_FOUND,),
        ),
        Operation(
            id=f"inferenceModelReady{suffix}",
            method=HTTPMethod.GET,
            path=f"{path}/ready",
            tag=_INFERENCE,
            summary=f"Whether {of} is served",
            about="404 where another is served.",
            parameters=parameters,
            refusals=(HTTPStatus.NOT_FOUND,),
        ),
        Operation(
            id=f"infer{suffix}",
            method=HTTPMethod.POST,
            path=f"{path}/infer",
            tag=_INFERENCE,
            summary=f"Price tensors with {of}",
            about="In JSON or by the binary tensor extension (`Inference-Header-Content-Length`); empty, "
            "null and NaN are missing values. An input's parameter `content_type` may be `np`, and of BYTES "
            "also `str` or `base64`.",
            answer=InferenceResponse,
            request=(InferenceRequest,),
            takes_tensors=True,
            parameters=parameters,
            refusals=(*_BODY, HTTPStatus.NOT_FOUND),
        ),
    )


OPERATIONS = (
    Operation(
        id="priceVehicles",
        method=HTTPMethod.POST,
        path="/v1/prices",
        tag=_PRICES,
        summary="Price vehicles",
        about=f"1 to {MAX_VEHICLES} vehicles, or one vehicle's object alone. A vehicle of a list that cannot "
        "be priced has its error in its place, and the rest are priced; one alone is refused. Unknown fields "
        "are ignored and named in `warnings`. Case and outer spaces of words do not matter.",
        answer=Prices,
        request=(VehicleList, VEHICLE),
        example=VEHICLES,
        parameters=(_EXPLAIN,),
        refusals=(*_CHECKED_BODY, HTTPStatus.NOT_IMPLEMENTED),
    ),
    Operation(
        id="listModels",
        method=HTTPMethod.GET,
        path="/v1/models",
        tag=_PRICES,
        summary="The models that are served",
        about="Which version answers, since when, what it takes and how good it is.",
        answer=Models,
    ),
    Operation(
        id="scoreAutomobiles",
        method=HTTPMethod.POST,
        path="/score",
        tag=_PRICES,
        summary="Price automobiles of 1985",
        about="What the published Car Price Predictor app asks. Each row comes back as it was sent, with its "
        f"price as `{SCORED_LABELS}`.",
        answer=AutomobileAnswer,
        request=(AutomobileRequest,),
        example=AUTOMOBILES,
        refusals=_CHECKED_BODY,
    ),
    Operation(
        id="inferenceServer",
        method=HTTPMethod.GET,
        path="/v2",
        tag=_INFERENCE,
        summary="The server and its extensions",
        about="The protocol's server metadata.",
        answer=ServerMetadata,
    ),
    Operation(
        id="inferenceLive",
        method=HTTPMethod.GET,
        path="/v2/health/live",
        tag=_INFERENCE,
        summary="Whether it answers",
        about="No key is needed.",
        is_guarded=False,
    ),
    Operation(
        id="inferenceReady",
        method=HTTPMethod.GET,
        path="/v2/health/ready",
        tag=_INFERENCE,
        summary="Whether it is ready",
        about="400 without a body where it is not. No key is needed.",
        is_guarded=False,
        refusals=(HTTPStatus.BAD_REQUEST,),
    ),
    *_inference("/v2/models/{name}", "", "a model", MODEL_NAME),
    *_inference("/v2/models/{name}/versions/{version}", "OfVersion", "a version", MODEL_NAME, _VERSION),
    Operation(
        id="healthz",
        method=HTTPMethod.GET,
        path="/healthz",
        tag=_OPERATION,
        summary="Whether it answers",
        about="No key is needed.",
        answer=Health,
        is_guarded=False,
    ),
    Operation(
        id="readyz",
        method=HTTPMethod.GET,
        path="/readyz",
        tag=_OPERATION,
        summary="Whether it is ready",
        about="503 while no model is loaded, the stream is not read, or it drains. No key is needed.",
        answer=Health,
        is_guarded=False,
    ),
    Operation(
        id="metrics",
        method=HTTPMethod.GET,
        path="/metrics",
        tag=_OPERATION,
        summary="Metrics for Prometheus",
        about="No key is needed.",
        answer="text/plain",
        is_guarded=False,
    ),
)

# Answered by the health routes that every service has.
HEALTH = ("healthz", "readyz", "metrics")
