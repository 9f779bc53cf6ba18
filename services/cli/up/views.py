"""Views of the stack: JSON lines for machines, a line of text a second, or a live page on a terminal."""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from services.cli.up.status import Price, Status

Ready = Mapping[str, str]
Verdict = Mapping[str, Any]


class View(Protocol):
    """The output of `up`, to which the stack's state is written."""

    def show_ready(self, ready: Ready) -> None: ...

    def show_status(self, status: Status) -> None: ...

    def show_verdict(self, verdict: Verdict) -> None: ...

    def close(self) -> None: ...


class JsonLines:
    """A view with one JSON object per line. `on_closed` is called once stdout is closed."""

    def __init__(self, on_closed: Callable[[], None]) -> None:
        self._on_closed = on_closed

    def show_ready(self, ready: Ready) -> None:
        self._write(json.dumps(ready))

    def show_status(self, status: Status) -> None:
        self._write(msgspec.json.encode(status).decode())

    def show_verdict(self, verdict: Verdict) -> None:
        self._write(json.dumps({"event": "verify", **verdict}))

    def close(self) -> None:
        """Do nothing: no resource is open."""

    def _write(self, line: str) -> None:
        _write_line(line, self._on_closed)


class PlainText:
    """A view with a line of text for each status, for a pipe or a log file."""

    def __init__(self, on_closed: Callable[[], None]) -> None:
        self._on_closed = on_closed

    def show_ready(self, ready: Ready) -> None:
        for line in _address_lines(ready):
            _write_line(line, self._on_closed)

    def show_status(self, status: Status) -> None:
        _write_line(_status_line(status), self._on_closed)

    def show_verdict(self, verdict: Verdict) -> None:
        for line in _verdict_lines(verdict):
            _write_line(line, self._on_closed)

    def close(self) -> None:
        """Do nothing: no resource is open."""


class LivePage:
    """A view as a page on a terminal, which is redrawn with every status."""

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False)
        self._console.print("starting the stack …", style="dim")

    def show_ready(self, ready: Ready) -> None:
        for line in _address_lines(ready):
            self._console.print(line, highlight=False, soft_wrap=True)
        self._live.start()

    def show_status(self, status: Status) -> None:
        self._live.update(self._page(status), refresh=True)

    def show_verdict(self, verdict: Verdict) -> None:
        self.close()
        for line in _verdict_lines(verdict):
            self._console.print(line, highlight=False)

    def close(self) -> None:
        self._live.stop()

    def _page(self, status: Status) -> Group:
        rates = (
            f"{status.phase}, {status.elapsed_s:.0f} s:  sent {status.sent_per_s:,.0f}/s   "
            f"priced {status.predicted_per_s:,.0f}/s   landed {status.landed_per_s:,.0f}/s"
        )
        lag = Table(title="lag, events by partition", title_justify="left")
        lag.add_column("hub")
        partitions = sorted({one for by_partition in status.lag.values() for one in by_partition})
        for partition in partitions:
            lag.add_column(partition, justify="right")
        for hub, by_partition in status.lag.items():
            lag.add_row(hub, *(str(by_partition.get(partition, "")) for partition in partitions))
        return Group(
            Text(),
            Text(rates),
            Text(f"reading to price {_format_latency(status)}"),
            Text(_format_restarts(status), style="yellow"),
            lag,
            _price_table(status.newest),
            Text("Ctrl-C drains, verifies and ends it.", style="dim"),
        )


def _price_table(prices: Sequence[Price]) -> Table:
    table = Table(title="newest prices", title_justify="left")
    for name in ("vehicle", "reading", "price", "interval", "read at"):
        table.add_column(name, justify="left" if name in ("vehicle", "read at") else "right")
    for one in prices:
        table.add_row(
            one.vehicle_id,
            str(one.reading_no),
            _format_price(one),
            _format_interval(one),
            one.reading_at[11:23],
        )
    return table


def _address_lines(ready: Ready) -> list[str]:
    account = re.search("AccountName=([^;]+)", ready["storage"])
    lake = f"{ready['data']}/storage/{account[1] if account else '*'}/lake/raw"
    return [
        f"prices     {ready['scorer']}/v1/prices",
        f"event hubs {ready['event_hubs']}",
        f"storage    {ready['storage']}",
        f"admin      {ready['admin']}",
        f"Parquet    {lake}",
        f"logs       {ready['data']}/logs",
    ]


def _status_line(status: Status) -> str:
    lag = sum(events for by_partition in status.lag.values() for events in by_partition.values())
    newest = status.newest[-1] if status.newest else None
    price = f", {newest.vehicle_id} {_format_price(newest)} ({_format_interval(newest)})" if newest else ""
    return (
        f"{status.elapsed_s:5.0f} s {status.phase}: sent {status.sent_per_s:,.0f}/s, "
        f"priced {status.predicted_per_s:,.0f}/s, landed {status.landed_per_s:,.0f}/s, lag {lag}, "
        f"reading to price {_format_latency(status)}{price}{_format_restarts(status)}"
    )


def _format_latency(status: Status) -> str:
    median, high = status.latency_ms.get("p50"), status.latency_ms.get("p95")
    return "-" if median is None or high is None else f"p50 {median:.0f} ms, p95 {high:.0f} ms"


def _format_restarts(status: Status) -> str:
    if not status.restarts:
        return ""
    return " restarted: " + ", ".join(f"{name} {count} times" for name, count in status.restarts.items())


def _format_price(price: Price) -> str:
    return f"{price.currency} {price.price:,.0f}"


def _format_interval(price: Price) -> str:
    return f"{price.lower:,.0f} to {price.upper:,.0f}"


def _verdict_lines(verdict: Verdict) -> list[str]:
    return [
        "verified:",
        *(f"  {name.replace('_', ' '):<24}{_format_value(value)}" for name, value in verdict.items()),
    ]


def _format_value(value: object) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return "   ".join(f"{name} {part}" for name, part in value.items())


def _write_line(line: str, on_closed: Callable[[], None]) -> None:
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # stdout is closed: drain and end, and let the interpreter's last flush not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        on_closed()
