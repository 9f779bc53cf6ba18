"""The servers that are measured over HTTP, each a process of its own, and what they are asked."""

import json
import subprocess
import sys
from pathlib import Path

BODY = json.dumps(
    {
        "make": "ford",
        "model": "Focus",
        "year": 2017,
        "transmission": "manual",
        "fuel_type": "petrol",
        "engine_l": 1.0,
        "odometer_km": 45_000,
        "rated_consumption_l_100km": 5.2,
    }
).encode()
REQUEST = (
    b"POST /v1/prices HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer fleetprice-dev-key\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


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
