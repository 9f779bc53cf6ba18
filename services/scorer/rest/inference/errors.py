"""Errors as the Open Inference Protocol writes them."""

import msgspec
from msgspec import Struct

from shared.http.problems import Refusal, refusal_response
from shared.http.request_body import JSON
from shared.http.responses import Answer

INFERENCE = "/v2"


class InferenceError(Struct, frozen=True):
    """The one form that the protocol has for errors."""

    error: str


def is_inference(path: str) -> bool:
    """Return True for a path of the protocol."""
    return path == INFERENCE or path.startswith(f"{INFERENCE}/")


def inference_error_response(refusal: Refusal) -> Answer:
    """Return the protocol's error of a refused request."""
    return refusal_response(refusal, msgspec.json.encode(InferenceError(refusal.detail)), JSON)
