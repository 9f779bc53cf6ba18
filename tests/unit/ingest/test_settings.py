"""The settings of streams and of events to dead-letter."""

import pytest

from services.ingest.settings import IngestSettings
from services.ingest.source_streams import hubs_by_stream, load_contract, named_events
from shared.service.errors import SettingsError


def test_streams_are_landed_from_their_hubs():
    """Each stream has its hub, which may have any name."""
    settings = IngestSettings(streams="telemetry, predictions", predictions_hub="prices")
    assert hubs_by_stream(settings) == {"telemetry": "telemetry", "predictions": "prices"}


def test_named_events_belong_to_a_stream():
    """PARTITION:SEQUENCE is of the first stream; STREAM/PARTITION:SEQUENCE names the stream."""
    settings = IngestSettings(dead_letter="3:7,3:9,predictions/0:1")
    assert named_events(settings, "telemetry") == {3: frozenset({7, 9})}
    assert named_events(settings, "predictions") == {0: frozenset({1})}


def test_a_stream_of_the_users_own(tmp_path):
    """A folder of contracts makes further streams, each from the hub of its name."""
    (tmp_path / "visits.json").write_text('{"type": "object"}')
    settings = IngestSettings(streams="telemetry,visits", contracts=tmp_path)
    assert hubs_by_stream(settings) == {"telemetry": "telemetry", "visits": "visits"}
    assert load_contract(settings, "visits").raw_schema.names[0] == "extra"


@pytest.mark.parametrize("stream", ["../visits", "stays"])
def test_a_stream_without_a_contract_is_refused(tmp_path, stream):
    """The error lists the streams that there are."""
    (tmp_path / "visits.json").write_text('{"type": "object"}')
    with pytest.raises(SettingsError, match="telemetry, predictions, visits"):
        hubs_by_stream(IngestSettings(streams=stream, contracts=tmp_path))


@pytest.mark.parametrize(
    "values",
    [{"dead_letter": "7"}, {"dead_letter": "prices/0:1"}, {"dead_letter": "0:-1"}, {"streams": "prices"}],
)
def test_what_cannot_be_read_is_refused(values):
    """A mistyped event or stream stops ingest before it starts."""
    settings = IngestSettings(**values)
    with pytest.raises(SettingsError, match="FLEETPRICE_INGEST_"):
        (hubs_by_stream(settings), named_events(settings, "telemetry"))
