"""The latency of the scorer over HTTP, at a fixed rate and under overload.

`python -m services.cli.bench.http.latency` prints the latencies, in milliseconds, of the unchanged scorer
and of the bare handler of `services.cli.bench.http.floor`. Both run on the first core, the callers on the
others. The figures are meaningful only on a quiet machine.

At the fixed rate, requests are due at random times, on average `RATE` a second, whatever became of earlier
requests. A latency is counted from the time at which the request was due.

For the overload, the capacity of the scorer is measured first: the requests that it answers in MAX_WAIT_S.
Then two and four times as many callers send, each again as soon as its request is answered or refused. The
waits of accepted and of refused requests are printed.
"""

import asyncio
import os
import random
import select
import socket
import tempfile
import time
from collections import deque
from pathlib import Path

from services.cli.bench.embedded_azure import Cores, EmbeddedAzure, start_embedded_azure
from services.cli.bench.figure import percentile
from services.cli.bench.http.laps import run_bare_handler, run_scorer
from services.cli.bench.http.requests import DONE, HEAD_END, is_whole, price_request

RATE, SECONDS, WARM_UP_S = 500, 20.0, 2.0
CONNECTIONS = 64
MAX_WAIT_S = 0.05
CAPACITY_CALLERS, FLOOD_WARM_UP_S, FLOOD_SECONDS = 32, 1.0, 5.0
REQUEST = price_request()


class OpenLoop:
    """A sender of requests at random times, each on a free connection.

    The time for which a request waits for a free connection counts as latency.
    """

    def __init__(self, port: int) -> None:
        self._free = deque(connect(port) for _ in range(CONNECTIONS))
        self._sent: dict[socket.socket, tuple[float, bytes]] = {}
        self.latencies_ms: list[float] = []

    def run(self, rate: float, seconds: float) -> None:
        """Send requests for `seconds`, and receive all answers.

        This uses `select`, which is precise to 1 µs; the timers of an event loop are precise to 1 ms.
        """
        gaps = random.Random(1)
        started_s = due_s = time.perf_counter()
        while due_s < started_s + seconds or self._sent:
            now_s = time.perf_counter()
            if due_s <= now_s and self._free and due_s < started_s + seconds:
                self._send(due_s)
                due_s += gaps.expovariate(rate)
                continue
            can_send = self._free and due_s < started_s + seconds
            self._receive(max(0.0, due_s - now_s) if can_send else None)

    def _send(self, due_s: float) -> None:
        connection = self._free.popleft()
        connection.sendall(REQUEST)
        self._sent[connection] = (due_s, b"")

    def _receive(self, timeout_s: float | None) -> None:
        for connection in select.select(list(self._sent), [], [], timeout_s)[0]:
            due_s, received = self._sent[connection]
            received += connection.recv(65_536)
            if not is_whole(received):
                self._sent[connection] = (due_s, received)
                continue
            assert received.startswith(DONE), received
            self.latencies_ms.append((time.perf_counter() - due_s) * 1e3)
            del self._sent[connection]
            self._free.append(connection)

    def close(self) -> None:
        for one in self._free:
            one.close()


class Flood:
    """The waits of accepted and of refused requests under overload."""

    def __init__(self, callers: int) -> None:
        self.callers = callers
        self.accepted_ms: list[float] = []
        self.refused_ms: list[float] = []

    def run(self, port: int, seconds: float) -> None:
        ready = select.epoll()
        sent: dict[int, tuple[socket.socket, float]] = {}
        for one in [connect(port) for _ in range(self.callers)]:
            ready.register(one, select.EPOLLIN)
            sent[one.fileno()] = (one, time.perf_counter())
            one.sendall(REQUEST)
        counts_from_s = time.perf_counter() + FLOOD_WARM_UP_S
        end_s = counts_from_s + seconds
        while sent:
            for descriptor, _event in ready.poll():
                connection, sent_s = sent.pop(descriptor)
                self._note(connection, sent_s, counts_from_s)
                if (now_s := time.perf_counter()) < end_s:
                    sent[descriptor] = (connection, now_s)
                    connection.sendall(REQUEST)
                else:
                    connection.close()
        ready.close()

    def _note(self, connection: socket.socket, sent_s: float, counts_from_s: float) -> None:
        answer = connection.recv(65_536)
        while not is_whole(answer):
            answer += connection.recv(65_536)
        waited_ms = (time.perf_counter() - sent_s) * 1e3
        is_accepted = answer.startswith(DONE)
        if not is_accepted:
            assert answer.startswith(b"HTTP/1.1 503 "), answer
            assert b"\r\nRetry-After: 1\r\n" in answer.partition(HEAD_END)[0], answer
        if sent_s >= counts_from_s:
            (self.accepted_ms if is_accepted else self.refused_ms).append(waited_ms)

    @property
    def refused(self) -> float:
        """Return the share of refused requests."""
        return len(self.refused_ms) / (len(self.accepted_ms) + len(self.refused_ms))


def connect(port: int) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port))
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def measure_fixed_rate_ms(port: int, rate: float, seconds: float) -> list[float]:
    """Return the latencies of a run in milliseconds, without those of a warm-up."""
    loop = OpenLoop(port)
    loop.run(rate, WARM_UP_S)
    loop.latencies_ms.clear()
    loop.run(rate, seconds)
    loop.close()
    return loop.latencies_ms


def run_flood(port: int, callers: int, seconds: float = FLOOD_SECONDS) -> Flood:
    flood = Flood(callers)
    flood.run(port, seconds)
    return flood


def show_steady(latencies_ms: dict[str, list[float]]) -> None:
    for percent in (50, 99):
        ours, bare = (percentile(latencies_ms[kind], percent) for kind in ("ours", "bare"))
        print(f"http_{RATE}_p{percent:<13}{ours:>8.2f}{bare:>8.2f}  ms at {RATE} requests/s")


def show_flood(times: int, ours: Flood, bare: Flood) -> None:
    figures = [percentile(ours.accepted_ms, 50), percentile(ours.accepted_ms, 99)]
    about = f"ms of the accepted, p50 and p99 of ours, p99 of the bare handler; {ours.callers} callers"
    bare_ms = percentile(bare.accepted_ms, 99)
    print(f"http_flood_{times}x        {figures[0]:>8.1f}{figures[1]:>8.1f}{bare_ms:>8.1f}  {about}")
    if len(ours.refused_ms) > 1:
        refused_ms = (percentile(ours.refused_ms, 50), percentile(ours.refused_ms, 99))
        print(
            f"http_refused_{times}x      {refused_ms[0]:>8.1f}{refused_ms[1]:>8.1f}          ms of the "
            f"{ours.refused:.0%} refused (503, Retry-After), p50 and p99"
        )


async def measure(azure: EmbeddedAzure) -> None:
    cores = Cores.split(1)
    os.sched_setaffinity(0, cores.serving)
    azure.emulator.pin(cores.serving)
    async with (
        # The default limit of connections would refuse most of them before the overload is measured.
        run_scorer(azure, cores, SCORER_MAX_CONNECTIONS=10_000) as (_, ours),
        run_bare_handler(azure, cores) as (_, bare),
    ):
        ports = {"ours": ours, "bare": bare}
        show_steady({kind: measure_fixed_rate_ms(port, RATE, SECONDS) for kind, port in ports.items()})
        lap = run_flood(ours, CAPACITY_CALLERS)
        rate = len(lap.accepted_ms) / FLOOD_SECONDS
        print(f"http_capacity       {rate:>8,.0f}          requests/s, {CAPACITY_CALLERS} callers")
        for times in (2, 4):
            callers = round(rate * MAX_WAIT_S * times)
            show_flood(times, run_flood(ours, callers), run_flood(bare, callers))


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="fleetprice-http-") as folder:
        async with start_embedded_azure(Path(folder)) as azure:
            await measure(azure)
    print(f"{os.cpu_count()} cores, {time.strftime('%F')}")


if __name__ == "__main__":
    asyncio.run(main())
