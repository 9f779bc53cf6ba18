"""Search for ports that a listener on this machine can bind, also again after a restart."""

import random
import socket
from collections.abc import Set as AbstractSet
from pathlib import Path

from shared.service.errors import PortInUse

_HOST = "127.0.0.1"
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_EPHEMERAL_START = 32_768
_MIN_PICKED = 15_000
_ATTEMPTS = 200


def free_port(taken: AbstractSet[int] = frozenset()) -> int:
    """Return a free port that is not in `taken`, below the kernel's range for outgoing connections.

    A port inside that range is risky: a client that connects while the emulator restarts could be given that
    very port as its local port, and would then be connected to itself, so the emulator could not bind the
    port again. Raises PortInUse if no free port is found.
    """
    for _ in range(_ATTEMPTS):
        port = random.randrange(_MIN_PICKED, _ephemeral_start())  # noqa: S311 - no secret
        if port not in taken and is_free(port):
            return port
    raise PortInUse("no free port found: choose them with --port-base")


def free_ports(count: int) -> list[int]:
    """Return `count` different free ports in ascending order. Raises PortInUse if too few are found."""
    taken: set[int] = set()
    while len(taken) < count:
        taken.add(free_port(taken))
    return sorted(taken)


def _ephemeral_start() -> int:
    if _EPHEMERAL_RANGE.exists():
        start = int(_EPHEMERAL_RANGE.read_text().split()[0])
        if start > _MIN_PICKED:
            return start
    return _USUAL_EPHEMERAL_START


def is_free(port: int) -> bool:
    """Return whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is free
        try:
            probe.bind((_HOST, port))
            probe.listen()
        except OSError:
            return False
        return True
