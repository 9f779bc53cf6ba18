import json
import logging
from pathlib import Path

import pytest
import structlog

from shared.log_events import EventLog
from shared.logs import set_up_logs
from shared.settings import WorldSettings

log = EventLog("services.emulator.somewhere")


@pytest.fixture
def own_process(capsys, monkeypatch):
    """Logging as a process of ours sets it up; afterwards everything is as it was."""
    root, ours = logging.getLogger(), logging.getLogger("services")
    before = (root.level, ours.level)
    monkeypatch.setattr(root, "handlers", [])
    set_up_logs(WorldSettings(log_format="json"), "emulator")
    yield
    root.setLevel(before[0])
    ours.setLevel(before[1])
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_host_sees_events_as_text(caplog):
    """In somebody else's program an event is a line of `logging`, its fields in the text."""
    with caplog.at_level(logging.INFO):
        log.info("hub_created", hub="orders", name="any word will do", args=4)
    assert caplog.messages == ["hub_created hub=orders name=any word will do args=4"]
    assert caplog.records[0].filename == "test_log_events.py"


def test_a_host_that_asked_for_nothing_sees_nothing(capsys):
    """Nothing is printed into the output of somebody else's tests."""
    log.info("hub_created", hub="orders")
    log.debug("client_went_away")
    assert capsys.readouterr() == ("", "")


def test_our_own_process_writes_them_like_its_own(own_process, capsys):
    """One stream of JSON lines, whichever way an event came."""
    log.info("hub_created", hub="orders", partitions=4)
    try:
        Path("nowhere").read_bytes()
    except FileNotFoundError:
        log.exception("append_failed", hub="orders")
    created, failed = map(json.loads, capsys.readouterr().err.splitlines())
    created.pop("timestamp")
    assert created == {
        "event": "hub_created",
        "level": "info",
        "service": "emulator",
        "hub": "orders",
        "partitions": 4,
    }
    assert (failed["event"], failed["level"]) == ("append_failed", "error")
    assert "FileNotFoundError" in failed["exception"]
