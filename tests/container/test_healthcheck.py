"""The image's health check, run as the image runs it."""

import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address

import pytest
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from tests.container.paths import HEALTHCHECK
from tests.support.polling import HANGING


@contextmanager
def sidecar(status: int) -> Iterator[int]:
    """A server whose /heartbeat answers *status*, and all else 404; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/heartbeat" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def check(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run the check in this environment alone."""
    command = [sys.executable, "-IS", str(HEALTHCHECK)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANGING, check=False)


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1)])
def test_only_200_is_healthy(status: int, code: int) -> None:
    with sidecar(status) as port:
        done = check(NODE_FSM_PORT=str(port))
    assert (done.returncode, done.stdout) == (code, f"heartbeat: {status}\n")


def test_a_proxy_is_not_asked() -> None:
    with sidecar(200) as port:
        assert check(NODE_FSM_PORT=str(port), http_proxy=f"http://{LOOPBACK}:{free_port()}").returncode == 0


def test_a_service_that_does_not_answer_is_not_healthy() -> None:
    port = free_port()
    done = check(NODE_FSM_PORT=str(port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"no heartbeat from {LOOPBACK} port {port}: ")


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, ("127.0.0.1", 8000)),
        ({"NODE_FSM_HOST": " ", "NODE_FSM_PORT": " "}, ("127.0.0.1", 8000)),
        ({"NODE_FSM_HOST": str(IPv4Address(0))}, ("127.0.0.1", 8000)),
        ({"NODE_FSM_HOST": "::", "NODE_FSM_PORT": "80"}, ("::1", 80)),
        ({"NODE_FSM_HOST": "10.1.2.3"}, ("10.1.2.3", 8000)),
    ],
)
def test_the_service_is_asked_where_it_listens(environment: dict[str, str], address: tuple[str, int]) -> None:
    assert runpy.run_path(os.fspath(HEALTHCHECK))["address"](environment) == address
