"""HTTP written to sockets by hand, for connections that are watched to their ends."""

import asyncio
from contextlib import asynccontextmanager, suppress

ALIVE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def connected(port, **options):
    """Open a connection for the time of a block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def request_on(reader, writer, request):
    """Send a request; return its answer's status and headers, their names in lower case."""
    writer.write(request)
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    await reader.readexactly(int(headers["content-length"]))
    return int(status.split()[1]), headers


async def read_to_end(reader):
    """Return what is received until the connection's end, a reset included."""
    received = b""
    with suppress(ConnectionError):
        while some := await reader.read(65_536):
            received += some
    return received
