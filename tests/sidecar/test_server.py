"""The server as others meet it: real connections to a real port."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, Request, Response
from httpx import AsyncClient, TransportError
from starlette.middleware.base import RequestResponseEndpoint

from node_fsm.core.errors import PermanentError
from node_fsm.core.phases import Role
from node_fsm.metrics import Metrics
from node_fsm.sidecar.app import create_app
from node_fsm.sidecar.server import SidecarServer
from tests.sidecar.states import Source
from tests.support.polling import HANGING


@pytest.fixture
def app() -> FastAPI:
    return create_app(
        Source(), Metrics(Role.LEADER0).registry, tick_limit=60, expose_state=False, monotonic=lambda: 0.0
    )


@asynccontextmanager
async def serving(app: FastAPI, host: str = "127.0.0.1") -> AsyncIterator[SidecarServer]:
    server = SidecarServer(app, host, 0)
    task = asyncio.create_task(server.serve())
    try:
        yield server
    finally:
        async with asyncio.timeout(HANGING):
            await server.stop(1)
            await task


def slow_route(app: FastAPI) -> tuple[asyncio.Event, asyncio.Event]:
    """Add ``/slow``; returns the events that it was asked, and that it may answer."""
    asked, answer = asyncio.Event(), asyncio.Event()

    @app.get("/slow")
    async def slow() -> str:
        asked.set()
        await answer.wait()
        return "done"

    return asked, answer


@pytest.mark.parametrize(("host", "peer"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("::", "127.0.0.1")])
async def test_it_answers_over_ipv4_and_ipv6(app: FastAPI, host: str, peer: str) -> None:
    async with serving(app, host) as server, AsyncClient(base_url=f"http://{peer}:{server.port}") as http:
        for path in ("/heartbeat", "/metrics", "/state"):
            response = await http.get(path)
            assert response.status_code == 200
            assert "server" not in response.headers
            head = await http.head(path)
            assert (head.status_code, head.content) == (200, b"")


async def test_a_forwarded_header_changes_nothing_of_who_asks(app: FastAPI) -> None:
    seen: list[str] = []

    @app.middleware("http")
    async def remember(request: Request, call_next: RequestResponseEndpoint) -> Response:
        seen.append(request.client.host if request.client else "")
        return await call_next(request)

    async with serving(app) as server, AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as http:
        await http.get("/heartbeat", headers={"X-Forwarded-For": "203.0.113.5"})
    assert seen == ["127.0.0.1"]


def test_a_busy_port_is_an_error_that_names_the_setting(app: FastAPI) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PermanentError, match=f"port {port} of 127.0.0.1; stop it or set NODE_FSM_PORT"):
            SidecarServer(app, "127.0.0.1", port)


def test_an_address_of_another_machine_is_an_error_that_names_the_setting(app: FastAPI) -> None:
    with pytest.raises(PermanentError, match="set NODE_FSM_HOST to an address of this machine"):
        SidecarServer(app, "192.0.2.1", 0)


async def test_signals_stay_with_the_service(app: FastAPI) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with serving(app) as server, AsyncClient() as http:
        await http.get(f"http://127.0.0.1:{server.port}/heartbeat")
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_stop_lets_an_answer_under_way_finish_and_takes_no_new_ones(app: FastAPI) -> None:
    asked, answer = slow_route(app)
    async with serving(app) as server, AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as http:
        request = asyncio.create_task(http.get("/slow"))
        await asked.wait()
        port = server.port
        stopping = asyncio.create_task(server.stop(HANGING))
        async with asyncio.timeout(HANGING):
            while await accepts(port):
                pass
        answer.set()
        assert (await request).json() == "done"
        async with asyncio.timeout(HANGING):
            await stopping


async def accepts(port: int) -> bool:
    async with AsyncClient() as http:
        try:
            await http.get(f"http://127.0.0.1:{port}/heartbeat")
        except TransportError:
            return False
    return True


async def test_stop_does_not_wait_for_ever(app: FastAPI) -> None:
    asked, _never = slow_route(app)
    server = SidecarServer(app, "127.0.0.1", 0)
    task = asyncio.create_task(server.serve())
    async with AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as http:
        request = asyncio.create_task(http.get("/slow", timeout=HANGING))
        await asked.wait()
        async with asyncio.timeout(HANGING):
            await server.stop(1)
            await task
        request.cancel()


async def test_stopping_what_was_never_served_returns(app: FastAPI) -> None:
    async with asyncio.timeout(HANGING):
        await SidecarServer(app, "127.0.0.1", 0).stop(1)


async def test_cancelling_frees_the_port(app: FastAPI) -> None:
    server = SidecarServer(app, "127.0.0.1", 0)
    port = server.port
    task = asyncio.create_task(server.serve())
    async with AsyncClient() as http:
        await http.get(f"http://127.0.0.1:{port}/heartbeat")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    again = SidecarServer(app, "127.0.0.1", port)
    await again.stop(1)
