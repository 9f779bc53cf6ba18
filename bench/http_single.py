"""One vehicle a request over HTTP, against a bare aiohttp and onnxruntime handler of the same graph.

`python -m bench.http_single` prints each server's own processor time a request, from one caller at a time to
32: what it costs whatever else the machine does. The load comes from a process of its own. Latencies follow
(`bench.http_latency`), which only a quiet machine tells.
"""

import asyncio
import os
import time

from bench import http_latency
from bench.figures import Figure
from bench.http_measured import REQUEST, Server, is_whole

# Many short rounds in turn, the best of each: what else the machine does disturbs only some of them.
ROUNDS, REQUESTS = 12, 960
CALLERS = (1, 2, 4, 8, 32)


class Caller(asyncio.Protocol):
    """Sends the next request when the answer to the last is there."""

    def __init__(self, requests: int, done: asyncio.Future[None]) -> None:
        self.left, self.done = requests, done
        self.answer = b""
        self.length = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if not is_whole(self.answer):
            return
        assert self.answer.startswith(b"HTTP/1.1 200"), self.answer
        self.answer = b""
        self.left -= 1
        if self.left:
            self.transport.write(REQUEST)
        else:
            self.transport.close()
            self.done.set_result(None)


async def load(port: int, callers: int, requests: int) -> None:
    loop = asyncio.get_running_loop()
    done = [loop.create_future() for _ in range(callers)]
    for one in done:
        await loop.create_connection(lambda one=one: Caller(requests // callers, one), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*done)


def request_us(server: Server, callers: int) -> float:
    started_s = server.cpu_s()
    asyncio.run(load(server.port, callers, REQUESTS))
    return (server.cpu_s() - started_s) / REQUESTS * 1e6


def figures() -> list[Figure]:
    servers = {kind: Server(kind) for kind in ("ours", "bare")}
    try:
        best: dict[tuple[str, int], float] = {}
        for _ in range(ROUNDS):
            for callers in CALLERS:
                for kind, server in servers.items():
                    took_us = request_us(server, callers)
                    best[kind, callers] = min(best.get((kind, callers), took_us), took_us)
    finally:
        for server in servers.values():
            server.close()
    return [
        Figure(
            f"http_single_{callers}",
            1e6 / best["ours", callers],
            1e6 / best["bare", callers],
            f"requests/s of its own CPU ({best['ours', callers]:.0f} µs; bare {best['bare', callers]:.0f})",
        )
        for callers in CALLERS
    ]


if __name__ == "__main__":
    for figure in figures():
        print(
            f"{figure.name:<18}{figure.rate:>8,.0f}{figure.floor:>8,.0f}{figure.ratio:>7.0%}  {figure.unit}"
        )
    http_latency.main()
    print(f"{os.cpu_count()} cores, {time.strftime('%F')}")
