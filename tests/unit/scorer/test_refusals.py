import asyncio

import pytest

from services.scorer.__main__ import serve
from services.scorer.settings import ScorerSettings
from shared.service.errors import SettingsError

HUBS = "Endpoint=sb://hubs.example;SharedAccessKeyName=one;SharedAccessKey=own;"
# Nothing listens there: a start that reads the lake first never reports the setting.
LAKE = "DefaultEndpointsProtocol=http;AccountName=one;AccountKey=b3du;BlobEndpoint=http://127.0.0.1:1/one;"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "FLEETPRICE_EVENT_HUBS is not set"),
        ({"event_hubs": HUBS}, "FLEETPRICE_STORAGE is not set"),
        (
            {"event_hubs": HUBS.replace("own", "SAS_KEY_VALUE"), "storage": LAKE},
            "FLEETPRICE_EVENT_HUBS uses the well-known development key beyond loopback",
        ),
        ({"event_hubs": HUBS, "storage": LAKE, "host": "0.0.0.0"}, "give keys of your own"),
        ({"stream": False, "storage": LAKE, "host": "0.0.0.0"}, "give keys of your own"),
    ],
)
async def test_a_missing_setting_is_reported_first(settings, said):
    """A missing setting is named even while the lake cannot be reached."""
    with pytest.raises(SettingsError, match=said):
        await serve(ScorerSettings(**settings), asyncio.Event())
