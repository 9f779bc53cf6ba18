"""The request of the HTTP benchmarks, and the check that an answer is complete (pure)."""

import msgspec

from services.cli.bench.bodies import make_readings

KEY = "fleetprice-bench-key"
WORDS = ("make", "model", "transmission", "fuel_type")
NUMBERS = ("year", "odometer_km", "engine_l", "rated_consumption_l_100km")
DONE = b"HTTP/1.1 200 "
HEAD_END = b"\r\n\r\n"


def price_request() -> bytes:
    """Return an HTTP request for the price of one vehicle, as a caller of /v1/prices sends it."""
    (reading,) = make_readings(0, 1)
    body = msgspec.json.encode({name: getattr(reading, name) for name in (*WORDS, *NUMBERS)})
    return (
        b"POST /v1/prices HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (KEY.encode(), len(body), body)
    )


def body_bytes(head: bytes) -> int:
    """Return the length of the body, as given by Content-Length in the head of an answer."""
    return int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])


def is_whole(answer: bytes) -> bool:
    """Return whether the head and the whole body of an answer have arrived."""
    head, found, body = answer.partition(HEAD_END)
    return bool(found) and len(body) >= body_bytes(head)
