import io
import json
import os

import pytest

from services.cli.up.status import Price, Status
from services.cli.up.views import JsonLines, LivePage, PlainText

READY = {
    "event": "ready",
    "event_hubs": "Endpoint=sb://127.0.0.1:5672;…",
    "storage": "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;…",
    "admin": "http://127.0.0.1:5300",
    "data": "DIR",
    "scorer": "http://127.0.0.1:8000",
}
STATUS = Status(
    phase="running",
    elapsed_s=12.0,
    sent_per_s=1_000.0,
    landed_per_s=990.0,
    predicted_per_s=995.0,
    lag={"telemetry": {"0": 3, "1": 4}, "predictions": {"0": 0, "1": 0}},
    latency_ms={"p50": 70.0, "p95": 120.0, "p99": 150.0},
    latency_overall_ms={"p50": 71.0, "p95": 121.0, "p99": 151.0},
    newest=[Price("s7-v000001", 5, 12_345.6, 11_000, 13_900, "GBP", "2026-01-01T00:00:01.250Z")],
    restarts={"scorer": 2},
)
VERDICT = {"sent": 10, "landed": 10, "missing": 0}


def show_all(view):
    view.show_ready(READY)
    view.show_status(STATUS)
    view.show_verdict(VERDICT)
    view.close()


def test_a_machine_reads_one_object_a_line(capsys):
    """ready, status and verify, each a JSON object on a line of its own, and nothing else."""
    show_all(JsonLines(on_closed=lambda: None))
    ready, status, verify = map(json.loads, capsys.readouterr().out.splitlines())
    assert ready == READY
    assert status["event"] == "status"
    assert status["lag"]["telemetry"] == {"0": 3, "1": 4}
    assert status["latency_ms"] == {"p50": 70.0, "p95": 120.0, "p99": 150.0}
    assert status["newest"][0]["price"] == 12_345.6
    assert verify == {"event": "verify", **VERDICT}


@pytest.mark.parametrize("make", [lambda: PlainText(on_closed=lambda: None), LivePage])
def test_a_person_sees_rates_lag_prices_and_where_files_land(capsys, make):
    """On a terminal and in a log file alike."""
    show_all(make())
    out = capsys.readouterr().out
    for text in (
        "http://127.0.0.1:8000/v1/prices",
        "DIR/storage/devstoreaccount1/lake/raw",
        "sent 1,000/s",
        "p95 120 ms",
        "s7-v000001",
        "GBP 12,346",
        "11,000 to 13,900",
        "scorer 2 times",
        "missing",
    ):
        assert text in out


@pytest.mark.parametrize("kind", [JsonLines, PlainText])
def test_a_closed_pipe_ends_the_run(kind, monkeypatch):
    """`fleetprice up --json | head -1` drains and ends without an error from the broken pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    closed = []
    with io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True) as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        view = kind(on_closed=lambda: closed.append(True))
        view.show_status(STATUS)
        view.show_status(STATUS)
    assert closed == [True]
