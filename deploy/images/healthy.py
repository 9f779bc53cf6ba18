#!/usr/bin/env -S python3 -I -S
"""Exit code 0 while the service in this container is ready: `healthy SERVICE`, for HEALTHCHECK and probes.

It imports nothing of the service's: a probe that takes a second of processor time is no probe. So it reads
the one variable that says where the service listens; a test holds the table below against the settings.
"""

import os
import sys
from http.client import HTTPConnection

_TIMEOUT_S = 2.0
_OK = 200
# Service: the variable of its port, the port where that is not set, the path to ask.
ASKED = {
    "emulator": ("FLEETPRICE_EMULATOR_ADMIN_PORT", 5300, "/health"),
    "ingest": ("FLEETPRICE_INGEST_METRICS_PORT", 8081, "/readyz"),
    "scorer": ("FLEETPRICE_SCORER_METRICS_PORT", 8083, "/readyz"),
    "simulator": ("FLEETPRICE_SIMULATOR_METRICS_PORT", 8082, "/readyz"),
}


def main(service: str) -> int:
    variable, usual, path = ASKED[service]
    connection = HTTPConnection("127.0.0.1", int(os.environ.get(variable, usual)), timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        sys.stdout.write(answer.read().decode() + "\n")
    except OSError as error:
        sys.stdout.write(f"{service} does not answer: {error}\n")
        return 1
    finally:
        connection.close()
    return 0 if answer.status == _OK else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
