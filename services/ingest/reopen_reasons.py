"""Why a partition was given up, to be opened again from the lake: whose fault it was decides what follows."""

from azure.core.exceptions import AzureError
from azure.eventhub.exceptions import EventHubError
from prometheus_client import Counter

from services.ingest.commit import Overtaken
from services.ingest.hub import Hub
from shared.service.errors import GapUnexplained, SinkUnavailable

REOPENED = Counter(
    "fleetprice_ingest_reopened_partitions_total",
    "Partitions given up, to be opened again from the lake, and claims that failed, by cause",
    ["hub", "cause"],
)

_OWN: dict[type[Exception], str] = {
    GapUnexplained: "skipped",
    Overtaken: "overtaken",
    SinkUnavailable: "lake",
}


def cause_of(error: Exception, hub: Hub) -> str:
    """`skipped`, `overtaken`, `lake`, `refused`, `link`, or `fatal`: a person's business, or a bug."""
    if (own := _OWN.get(type(error))) is not None:
        return own
    if hub.refusal(error) is not None:
        return "refused"
    return "link" if isinstance(error, EventHubError | AzureError | OSError) else "fatal"
