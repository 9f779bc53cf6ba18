"""The client of the predictions hub: every prediction once, resumable. Public: docs/python-api.md.

Nothing is imported before its first use: with it comes the Event Hubs SDK.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.predictions.reader import PredictionReader, ReceivedPrediction, ResumeToken
    from shared.predictions.resume_file import ResumeFile, ResumeFileError
    from shared.streams.event_hubs.connection import HubConnection

__all__ = [
    "HubConnection",
    "PredictionReader",
    "ReceivedPrediction",
    "ResumeFile",
    "ResumeFileError",
    "ResumeToken",
]

_MODULES = {
    "HubConnection": "shared.streams.event_hubs.connection",
    "PredictionReader": "shared.predictions.reader",
    "ReceivedPrediction": "shared.predictions.reader",
    "ResumeFile": "shared.predictions.resume_file",
    "ResumeFileError": "shared.predictions.resume_file",
    "ResumeToken": "shared.predictions.reader",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from shared.service.extras import needs_extra  # noqa: PLC0415 - as late as what it is for

    with needs_extra("the reader of predictions", "streams"):
        return getattr(import_module(_MODULES[name]), name)
