#!/usr/bin/env -S python3 -I -S
"""`healthy SERVICE`: exit code 0 if the service in this container is ready, for HEALTHCHECK and probes.

It imports none of the service's code, because a probe must not cost a second of processor time. It reads the
one variable that sets the port of the service; a test compares the table below with the settings.
"""

import os
import sys
from http.client import HTTPConnection

_TIMEOUT_S = 2.0
_OK = 200
# Service: the variable of its port, the default port, the path to request.
ENDPOINTS = {
    "emulator": ("FLEETPRICE_EMULATOR_ADMIN_PORT", 5300, "/health"),
    "ingest": ("FLEETPRICE_INGEST_METRICS_PORT", 8081, "/readyz"),
    "scorer": ("FLEETPRICE_SCORER_METRICS_PORT", 8083, "/readyz"),
    "simulator": ("FLEETPRICE_SIMULATOR_METRICS_PORT", 8082, "/readyz"),
}


def main(service: str) -> int:
    variable, default, path = ENDPOINTS[service]
    connection = HTTPConnection("127.0.0.1", int(os.environ.get(variable, default)), timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        sys.stdout.write(response.read().decode() + "\n")
    except OSError as error:
        sys.stdout.write(f"{service} does not answer: {error}\n")
        return 1
    finally:
        connection.close()
    return 0 if response.status == _OK else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
