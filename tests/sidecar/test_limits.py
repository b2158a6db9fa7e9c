"""Connections that never ask anything to the end, and what is left to those that do."""

import asyncio
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from socket import create_connection

import httpx
import pytest
from fastapi import FastAPI

from node_fsm.sidecar import server
from tests.sidecar.limited import FILES
from tests.sidecar.test_server import app, serving
from tests.support.polling import HANGING

__all__ = ["app"]  # a fixture

ROOT = Path(__file__).parents[2]
HALF_A_REQUEST = b"GET /heartbeat HTTP/1.1\r\nHost: sidecar\r\nX-Half: "
REQUEST = b"GET /heartbeat HTTP/1.1\r\nHost: sidecar\r\n\r\n"
ANSWER = b'"reasons":[]}'
UNFINISHED = {
    "silence": b"",
    "half a head": HALF_A_REQUEST,
    "half a body": b"POST /heartbeat HTTP/1.1\r\nHost: sidecar\r\nContent-Length: 9\r\n\r\nhalf",
}
CONNECTIONS = 1500


@pytest.fixture
def limited() -> Iterator[int]:
    """The port of a sidecar in a process of few descriptors."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "tests.sidecar.limited"]
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        process.communicate(timeout=HANGING)
    assert process.returncode == 0


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Enough of them for all connections, where a shell gives 1024 at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, 2 * CONNECTIONS)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this user may not open {wanted} files (ulimit -Hn says {hard})")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("descriptors")
def test_1500_half_requests_take_neither_the_heartbeat_nor_the_services_descriptors(limited: int) -> None:
    with ExitStack() as opened:
        for number in range(CONNECTIONS):
            connection = opened.enter_context(create_connection(("127.0.0.1", limited), timeout=HANGING))
            connection.sendall(HALF_A_REQUEST)
            if number % 100 == 99:
                assert get(limited, "/heartbeat").status_code == 200
                assert get(limited, "/files").json() == FILES
    assert get(limited, "/heartbeat").status_code == 200


def get(port: int, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=HANGING, trust_env=False)


@pytest.fixture
async def port(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """The port of a sidecar that waits two seconds for a request."""
    monkeypatch.setattr(server, "ANSWER_SECONDS", 2)
    async with serving(app) as sidecar:
        yield sidecar.port


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
async def test_who_does_not_finish_a_request_is_cut_off(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await ended(reader)
    writer.close()


async def test_an_answer_gives_no_more_time_than_for_the_next_request(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    await reader.readuntil(ANSWER)
    writer.write(HALF_A_REQUEST)
    await ended(reader)
    writer.close()


async def test_sending_on_and_on_gives_no_more_time(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HALF_A_REQUEST)
    end = asyncio.create_task(ended(reader))
    while not end.done():
        writer.write(b".")
        await asyncio.sleep(0.2)  # the pace of a client that never comes to the point
    await end
    writer.close()


async def ended(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(HANGING):
        try:
            await reader.read()
        except ConnectionResetError:
            return


async def test_who_asks_again_and_again_keeps_the_connection(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(server, "ANSWER_SECONDS", 5)
    async with serving(app) as sidecar:
        reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
        begin = loop.time()
        while loop.time() < begin + server.ANSWER_SECONDS + 1:
            writer.write(REQUEST)
            await reader.readuntil(ANSWER)
            await asyncio.sleep(0.5)  # the pace of a probe
        writer.close()
