"""The client of the predictions hub: every prediction once, resumable. Public: docs/python-api.md.

Each name is imported only when it is first used, because the reader needs the Event Hubs SDK.
"""

from typing import TYPE_CHECKING

from shared.service.extras import lazy_exports

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

__getattr__ = lazy_exports(__name__, _MODULES, "the reader of predictions", "streams")
