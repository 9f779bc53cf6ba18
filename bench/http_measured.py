"""The servers that are measured over HTTP, each a process of its own, and what they are asked."""

import json
import subprocess
import sys
from pathlib import Path

from services.scorer.rest.examples import VEHICLES

(_VEHICLE,) = VEHICLES["vehicles"]
BODY = json.dumps({name: value for name, value in _VEHICLE.items() if name != "id"}).encode()
REQUEST = (
    b"POST /v1/prices HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer fleetprice-dev-key\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
HEAD_END = b"\r\n\r\n"


def body_bytes(head: bytes) -> int:
    """How long the body is that this head of an answer announces."""
    return int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])


def is_whole(answer: bytes) -> bool:
    """Whether all of an answer has come."""
    head, found, body = answer.partition(HEAD_END)
    return bool(found) and len(body) >= body_bytes(head)


class Server:
    """`python -m bench.http_server KIND` and its processor time."""

    def __init__(self, kind: str) -> None:
        command = [sys.executable, "-m", "bench.http_server", kind]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def cpu_s(self) -> float:
        """To the nanosecond, unlike `stat`'s ticks."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
