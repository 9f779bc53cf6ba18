import json
import logging
import subprocess
import sys

from shared.service.log_events import EventLog

log = EventLog("services.emulator.somewhere")

OWN_PROCESS = """
from pathlib import Path
from shared.service.log_events import EventLog
from shared.service.logs import set_up_logs
from shared.service.settings import ConnectionSettings

set_up_logs(ConnectionSettings(log_format="json"), "emulator")
log = EventLog("services.emulator.somewhere")
log.debug("client_went_away")
log.info("hub_created", hub="orders", partitions=4)
try:
    Path("nowhere").read_bytes()
except FileNotFoundError:
    log.exception("append_failed", hub="orders")
"""
USERS_PROCESS = """
from shared.service.log_events import EventLog

log = EventLog("services.emulator.somewhere")
log.debug("client_went_away")
log.info("hub_created", hub="orders")
"""


def run(code, directory):
    """Run code in a process of its own, because logging is configured per process."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=directory, capture_output=True, text=True, check=True
    )


def test_a_host_sees_events_as_text(caplog):
    """In a user's program an event is a line of `logging`, with its fields in the text."""
    with caplog.at_level(logging.INFO, logger="services.emulator.somewhere"):
        log.info("hub_created", hub="orders", name="any word will do", args=4)
    assert caplog.messages == ["hub_created hub=orders name=any word will do args=4"]
    assert caplog.records[0].filename == "test_log_events.py"


def test_a_host_without_logging_sees_nothing(tmp_path):
    """A user's program that does not configure logging prints no event."""
    ended = run(USERS_PROCESS, tmp_path)
    assert (ended.stdout, ended.stderr) == ("", "")


def test_our_own_process_writes_them_like_its_own(tmp_path):
    """Events through `logging` and through structlog are the same JSON lines on stderr."""
    ended = run(OWN_PROCESS, tmp_path)
    created, failed = map(json.loads, ended.stderr.splitlines())
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
