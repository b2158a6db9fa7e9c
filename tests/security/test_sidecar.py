"""A sidecar that strangers reach: whatever they send, probes are answered, the log stays short, and memory small."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from fastapi import FastAPI

from node_fsm.sidecar.connection import CONNECTIONS
from tests.security.attacks import ATTACKS, GET, connection, heartbeats_under
from tests.sidecar.test_server import app, serving
from tests.support.polling import HANGING

__all__ = ["app"]  # a fixture

ROOT = Path(__file__).parents[2]
SECONDS = 1.0
MOST_MEMORY = 64 * 2**20
"""Bytes that a process may grow by, whatever it is sent."""


@dataclass(frozen=True)
class Sidecar:
    """A sidecar in a process of its own, and the file with what it said."""

    port: int
    process: psutil.Process
    log: Path


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """One for all attacks."""
    log = tmp_path_factory.mktemp("sidecar") / "log"
    command, pipe = [sys.executable, "-m", "tests.sidecar.limited"], subprocess.PIPE
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=errors, text=True) as process,
    ):
        assert process.stdout
        yield Sidecar(int(process.stdout.readline()), psutil.Process(process.pid), log)
        process.communicate(timeout=HANGING)
    assert process.returncode == 0


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_keeps_no_probe_waiting(sidecar: Sidecar, name: str) -> None:
    memory = sidecar.process.memory_info().rss
    heartbeats = await heartbeats_under(ATTACKS[name], sidecar.port, SECONDS)
    print(f"{name}: {heartbeats.figures()}")
    assert heartbeats.faults == []
    assert sidecar.process.memory_info().rss - memory < MOST_MEMORY
    assert sidecar.log.read_text() == ""


async def test_who_is_being_answered_makes_no_place_for_newcomers(app: FastAPI) -> None:
    go_on = asyncio.Event()

    @app.get("/slow")
    async def slow() -> str:
        await go_on.wait()
        return "answered"

    async with serving(app) as served, AsyncExitStack() as opened:
        reader, writer = await opened.enter_async_context(connection(served.port))
        writer.write(GET % b"/slow")
        await asyncio.sleep(0.1)  # until it has been read, which nothing tells
        for _ in range(2 * CONNECTIONS):
            await opened.enter_async_context(connection(served.port))
        go_on.set()
        async with asyncio.timeout(HANGING):
            await reader.readuntil(b"answered")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nno request\r\n\r\n",
        b"POST /heartbeat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n\r\n",
        b"POST /heartbeat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf",
    ],
    ids=["no second request", "no chunk", "half a body"],
)
async def test_what_is_not_read_ends_the_connection_without_a_word(
    app: FastAPI, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(app) as served, connection(served.port) as (reader, writer):
        writer.write(sent)
        async with asyncio.timeout(HANGING):
            await reader.read()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
