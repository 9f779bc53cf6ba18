"""`GET /v1/models`: the versions in service, their inputs and accuracy."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from shared.http.request_body import JSON
from shared.registry.active_model import ActiveModel, InService


class ModelWords(Struct, frozen=True):
    """A field of words; words never seen in training are priced and flagged."""

    name: str
    known: Annotated[int, Meta(description="Words seen in training")]


class ModelNumber(Struct, frozen=True):
    """A numeric field and its range in training, ends included."""

    name: str
    unit: str
    minimum: float
    maximum: float


class Model(Struct, frozen=True):
    """A model and its version in service."""

    name: str
    version: str
    created_at: Annotated[datetime, Meta(description="When it was trained")]
    loaded_at: Annotated[datetime, Meta(description="When this process put it into service")]
    currency: str
    coverage: float
    mae: Annotated[float, Meta(description="Mean absolute error on rows held out, in `currency`")]
    r2: Annotated[float, Meta(description="Coefficient of determination on rows held out")]
    words: list[ModelWords]
    numbers: list[ModelNumber]


class Models(Struct, frozen=True):
    models: list[Model]


class ModelsEndpoint:
    """The endpoint of the served models."""

    def __init__(self, served: Sequence[ActiveModel[Any]]) -> None:
        self._served = served

    async def handle(self, _request: web.Request) -> web.Response:
        body = msgspec.json.encode(Models([_describe(one.now) for one in self._served]))
        return web.Response(body=body, content_type=JSON)


def _describe(in_service: InService[Any]) -> Model:
    manifest = in_service.pricer.manifest
    return Model(
        manifest.name,
        manifest.version,
        manifest.created_at,
        in_service.since,
        manifest.currency,
        manifest.coverage,
        manifest.metrics.mae,
        manifest.metrics.r2,
        [ModelWords(one.name, len(one.categories)) for one in manifest.inputs.cat],
        [ModelNumber(one.name, one.unit, one.minimum, one.maximum) for one in manifest.inputs.num],
    )
