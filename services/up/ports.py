"""Which port each listener of the stack has."""

import random
import socket
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from shared.errors import PortInUse

_HOST = "127.0.0.1"
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_EPHEMERAL_START = 32_768
_LEAST_PICKED = 15_000
_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class Ports:
    """0 means any free one, until `chosen`."""

    event_hubs: int = 5672
    storage: int = 10000
    admin: int = 5300
    scorer: int = 8000
    ingest_metrics: int = 0
    simulator_metrics: int = 0


def laid_out(port_base: int | None) -> Ports:
    """Ports as the person asked: the usual ones, from a base on, or (base 0) any free ones.

    The gaps are those of the TLS and websocket listeners and of the console.
    """
    if port_base is None:
        return Ports()
    if port_base == 0:
        return Ports(0, 0, 0, 0, 0, 0)
    return Ports(port_base, port_base + 3, port_base + 4, port_base + 5, port_base + 7, port_base + 8)


def chosen(wanted: Ports) -> Ports:
    """`wanted` with free ports for the zeros. Raises PortInUse for one that cannot be opened."""
    taken = {port for port in astuple(wanted) if port}
    numbers = []
    for field in fields(wanted):
        port = getattr(wanted, field.name)
        if port and not _is_free(port):
            name = field.name.replace("_", " ")
            raise PortInUse(f"port {port} (for {name}) is in use: free it, or choose others with --port-base")
        numbers.append(port or _pick(taken))
    return Ports(*numbers)


def _pick(taken: set[int]) -> int:
    """A free port below the range that the kernel gives to outgoing connections.

    Inside that range a client that knocks while the emulator restarts can be given the very port it knocks
    at, and then talks to itself: the emulator would not get its port back.
    """
    for _ in range(_ATTEMPTS):
        port = random.randrange(_LEAST_PICKED, _ephemeral_start())  # noqa: S311 - no secret
        if port not in taken and _is_free(port):
            taken.add(port)
            return port
    raise PortInUse("no free port found: choose them with --port-base")


def _ephemeral_start() -> int:
    if _EPHEMERAL_RANGE.exists():
        start = int(_EPHEMERAL_RANGE.read_text().split()[0])
        if start > _LEAST_PICKED:
            return start
    return _USUAL_EPHEMERAL_START


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: TIME_WAIT is free
        try:
            probe.bind((_HOST, port))
            probe.listen()
        except OSError:
            return False
        return True
