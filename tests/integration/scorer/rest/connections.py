"""Connections of callers that are watched to their ends."""

import asyncio
from contextlib import asynccontextmanager, suppress

ALIVE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def connected(port, **how):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **how)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def answer_on(reader, writer, asked):
    """Status and headers, their names in lower case, of the answer to one request."""
    writer.write(asked)
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    await reader.readexactly(int(headers["content-length"]))
    return int(status.split()[1]), headers


async def ended(reader):
    """What is still heard until the connection's end, a reset included."""
    heard = b""
    with suppress(ConnectionError):
        while some := await reader.read(65_536):
            heard += some
    return heard
