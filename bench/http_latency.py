"""How long callers of the scorer's HTTP wait: at a fixed rate, and when far too many ask at once.

`python -m bench.http_latency` prints milliseconds, ours beside the bare handler of `bench.http_single`. At
a fixed rate requests leave when they are due (at random, on average `RATE` a second) whatever became of those
before them, and a latency counts from when its request was due. Only a quiet machine tells anything.
"""

import asyncio
import random
import select
import socket
import time
from collections import deque

from bench.http_measured import HEAD_END, REQUEST, Server, body_bytes, is_whole
from services.bench.figure import percentile

RATE, SECONDS, WARM_UP_S = 500, 20.0, 2.0
CONNECTIONS = 64
FLOOD, FLOOD_SECONDS = 400, 5.0


class OpenLoop:
    """Sends on whichever connection is free; one more than there are is a wait that counts."""

    def __init__(self, port: int) -> None:
        self._free = deque(socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS))
        for one in self._free:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._asked: dict[socket.socket, tuple[float, bytes]] = {}
        self.latencies_ms: list[float] = []

    def run(self, rate: float, seconds: float) -> None:
        """`select` waits to the microsecond, where an event loop's timers are good for a millisecond."""
        gaps = random.Random(1)
        started_s = due_s = time.perf_counter()
        while due_s < started_s + seconds or self._asked:
            now_s = time.perf_counter()
            if due_s <= now_s and self._free and due_s < started_s + seconds:
                self._ask(due_s)
                due_s += gaps.expovariate(rate)
                continue
            can_ask = self._free and due_s < started_s + seconds
            self._hear(max(0.0, due_s - now_s) if can_ask else None)

    def _ask(self, due_s: float) -> None:
        connection = self._free.popleft()
        connection.sendall(REQUEST)
        self._asked[connection] = (due_s, b"")

    def _hear(self, timeout_s: float | None) -> None:
        for connection in select.select(list(self._asked), [], [], timeout_s)[0]:
            due_s, heard = self._asked[connection]
            heard += connection.recv(65_536)
            if not is_whole(heard):
                self._asked[connection] = (due_s, heard)
                continue
            assert heard.startswith(b"HTTP/1.1 200"), heard
            self.latencies_ms.append((time.perf_counter() - due_s) * 1e3)
            del self._asked[connection]
            self._free.append(connection)

    def close(self) -> None:
        for one in self._free:
            one.close()


async def flood(port: int, callers: int, seconds: float) -> tuple[list[float], int]:
    """Each asks again as soon as it is answered or refused: what the accepted waited, and the refusals."""
    accepted_ms: list[float] = []
    refused = 0
    end_s = time.perf_counter() + seconds

    async def ask() -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (asked_s := time.perf_counter()) < end_s:
            writer.write(REQUEST)
            head = await reader.readuntil(HEAD_END)
            await reader.readexactly(body_bytes(head))
            if head.startswith(b"HTTP/1.1 200"):
                accepted_ms.append((time.perf_counter() - asked_s) * 1e3)
            else:
                assert head.startswith(b"HTTP/1.1 503"), head
                refused += 1
        writer.close()

    await asyncio.gather(*(ask() for _ in range(callers)))
    return accepted_ms, refused


def at_fixed_rate_ms(port: int, rate: float, seconds: float) -> list[float]:
    """Latencies of a whole run, after a warm-up that does not count."""
    loop = OpenLoop(port)
    loop.run(rate, WARM_UP_S)
    loop.latencies_ms.clear()
    loop.run(rate, seconds)
    loop.close()
    return loop.latencies_ms


def main() -> None:
    servers = {kind: Server(kind) for kind in ("ours", "bare")}
    try:
        steady = {kind: at_fixed_rate_ms(server.port, RATE, SECONDS) for kind, server in servers.items()}
        flooded = {kind: asyncio.run(flood(one.port, FLOOD, FLOOD_SECONDS)) for kind, one in servers.items()}
    finally:
        for server in servers.values():
            server.close()
    for percent in (50, 99):
        ours, bare = (percentile(steady[kind], percent) for kind in ("ours", "bare"))
        print(f"http_{RATE}_p{percent:<13}{ours:>8.2f}{bare:>8.2f}  ms at {RATE} requests/s")
    ours, bare = (percentile(flooded[kind][0], 99) for kind in ("ours", "bare"))
    refused = flooded["ours"][1] / (flooded["ours"][1] + len(flooded["ours"][0]))
    print(f"http_flood_p99      {ours:>8.1f}{bare:>8.1f}  ms, {FLOOD} callers, {refused:.0%} refused by ours")


if __name__ == "__main__":
    main()
