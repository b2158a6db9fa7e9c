"""Asks for the heartbeat on a new connection each time until standard input ends, then says how that went, as JSON.

Run alone, ``python -IS probe.py PORT``: what attacks meanwhile must not hold it up.
"""

import json
import select
import socket
import sys
import time

PAUSE_SECONDS = 0.05
ANSWER_SECONDS = 60.0
REQUEST = b"GET /heartbeat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def heartbeat(port: int) -> bytes:
    """The whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as connection:
        connection.sendall(REQUEST)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


def main(port: int) -> None:
    """Ask until told to stop."""
    seconds, faults = [], []
    while not select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
        begin = time.monotonic()
        try:
            answer = heartbeat(port)
        except OSError as error:
            faults.append(repr(error))
        else:
            if not answer.startswith(b"HTTP/1.1 200"):
                faults.append(repr(answer[:100]))
        seconds.append(time.monotonic() - begin)
    print(json.dumps({"seconds": seconds, "faults": faults}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
