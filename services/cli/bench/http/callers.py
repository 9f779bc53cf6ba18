"""Callers of a scorer over HTTP as a process of its own, each with one request at a time under way.

`python -m services.cli.bench.http.callers PORT CALLERS REQUESTS` asks REQUESTS times over CALLERS
connections and prints one JSON line when it begins and one when the last answer is there. Sockets without an
event loop: a request costs it a small part of what it costs the server, which is what is to be kept busy.
"""

import json
import select
import socket
import sys
import time

from services.cli.bench.http.requests import DONE, is_whole, price_request


def ask(port: int, callers: int, requests: int) -> None:
    """Returns when all are answered; raises ConnectionError for an answer other than 200."""
    request = price_request()
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(callers)]
    of_descriptor = {one.fileno(): one for one in connections}
    ready = select.epoll()
    for one in connections:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ready.register(one, select.EPOLLIN)
        one.sendall(request)
    unsent, unheard, usual_bytes = requests - callers, requests, 0
    while unheard:
        for descriptor, _event in ready.poll():
            connection = of_descriptor[descriptor]
            answer = connection.recv(65_536)
            # All are of one length and come in one piece: then there is nothing to look for in them.
            if len(answer) != usual_bytes:
                answer = _rest(connection, answer)
                usual_bytes = len(answer)
            if not answer.startswith(DONE):
                raise ConnectionError(answer[:1_000])
            unheard -= 1
            if unsent > 0:
                unsent -= 1
                connection.sendall(request)
    ready.close()
    for one in connections:
        one.close()


def _rest(connection: socket.socket, answer: bytes) -> bytes:
    while not is_whole(answer):
        more = connection.recv(65_536)
        if not more:
            raise ConnectionError("the server hung up")
        answer += more
    return answer


def _tell(event: str) -> None:
    told = {"event": event, "clock_s": time.monotonic(), "cpu_s": time.process_time()}
    print(json.dumps(told), flush=True)  # noqa: T201 - this process's one output


def main(arguments: list[str]) -> None:
    port, callers, requests = map(int, arguments)
    _tell("started")
    ask(port, callers, requests)
    _tell("finished")


if __name__ == "__main__":
    main(sys.argv[1:])
