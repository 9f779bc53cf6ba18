"""Callers of a scorer over HTTP, in a separate process. Each caller has one request at a time in progress.

`python -m services.cli.bench.http.callers PORT CALLERS REQUESTS` sends REQUESTS requests over CALLERS
connections. It prints one JSON line when it begins and one when the last answer has arrived. It uses sockets
without an event loop, so that a request costs the callers much less than the server, which must stay busy.
"""

import json
import select
import socket
import sys
import time

from services.cli.bench.http.requests import DONE, is_whole, price_request


def send_requests(port: int, callers: int, requests: int) -> None:
    """Send `requests` requests over `callers` connections, and return when all are answered.

    Raises ConnectionError if an answer has a status other than 200, or if the server hangs up.
    """
    request = price_request()
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(callers)]
    by_descriptor = {one.fileno(): one for one in connections}
    ready = select.epoll()
    for one in connections:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ready.register(one, select.EPOLLIN)
        one.sendall(request)
    unsent, unanswered, usual_bytes = requests - callers, requests, 0
    while unanswered:
        for descriptor, _event in ready.poll():
            connection = by_descriptor[descriptor]
            answer = connection.recv(65_536)
            # Answers of the usual length, in one piece, need no parsing.
            if len(answer) != usual_bytes:
                answer = _read_rest(connection, answer)
                usual_bytes = len(answer)
            if not answer.startswith(DONE):
                raise ConnectionError(answer[:1_000])
            unanswered -= 1
            if unsent > 0:
                unsent -= 1
                connection.sendall(request)
    ready.close()
    for one in connections:
        one.close()


def _read_rest(connection: socket.socket, answer: bytes) -> bytes:
    while not is_whole(answer):
        more = connection.recv(65_536)
        if not more:
            raise ConnectionError("the server hung up")
        answer += more
    return answer


def _report(event: str) -> None:
    line = {"event": event, "clock_s": time.monotonic(), "cpu_s": time.process_time()}
    print(json.dumps(line), flush=True)  # noqa: T201 - the output of this process


def main(arguments: list[str]) -> None:
    port, callers, requests = map(int, arguments)
    _report("started")
    send_requests(port, callers, requests)
    _report("finished")


if __name__ == "__main__":
    main(sys.argv[1:])
