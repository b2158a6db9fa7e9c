"""The gateway as it is deployed, before another node, and requests to it as no client library would send them."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from tests.support.polling import HANGING, eventually

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "gateway" / "nginx.conf"
LISTEN, NODE = "listen 8080 ", "server 127.0.0.1:10080 "
SBIN = "/usr/local/sbin:/usr/sbin"
"""Where Debian has nginx, outside of a user's PATH."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway, and where it writes its log."""

    port: int
    directory: Path

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/api"

    @property
    def log(self) -> str:
        """What it logged of requests."""
        return (self.directory / "stdout").read_text()

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.base_url, trust_env=False, timeout=HANGING)

    async def send(self, request: bytes) -> bytes:
        """Send these bytes; all that comes back until the gateway closes."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        try:
            async with asyncio.timeout(HANGING):
                writer.write(request)
                return await reader.read()
        finally:
            writer.close()

    async def status(self, line: str) -> int:
        """The status of a request with this first line, byte for byte, and a Host."""
        answer = await self.send(f"{line}\r\nHost: vote.example\r\nConnection: close\r\n\r\n".encode("latin-1"))
        return int(answer.split(b" ", 2)[1])


def find_nginx() -> str:
    """Where nginx is; skips the test when there is none."""
    found = shutil.which("nginx") or shutil.which("nginx", path=SBIN)
    if found is None:
        pytest.skip("no nginx in PATH")
    return found


@asynccontextmanager
async def gateway_before(node_port: int) -> AsyncIterator[Gateway]:
    """A gateway before the node whose REST interface is at this port, with ports and directories of its own."""
    nginx = find_nginx()
    directory, port = Path(tempfile.mkdtemp(prefix="node-fsm-gateway-")), free_port()
    text = CONFIGURATION.read_text()
    for old, new in (
        (LISTEN, f"listen {LOOPBACK}:{port} "),
        (NODE, f"server {LOOPBACK}:{node_port} "),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file = directory / "nginx.conf"
    file.write_text(text.replace("/tmp/", f"{directory}/"))
    globals_ = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")  # else its workers cannot reach directory
    with (directory / "stdout").open("wb") as stdout, (directory / "stderr").open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            nginx, "-c", str(file), "-e", "stderr", "-g", globals_, stdout=stdout, stderr=stderr
        )
    try:
        gateway = Gateway(port, directory)
        await eventually(lambda: _listens(process, port, directory))
        yield gateway
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), HANGING)
        shutil.rmtree(directory)


def _listens(process: asyncio.subprocess.Process, port: int, directory: Path) -> bool:
    assert process.returncode is None, (directory / "stderr").read_text()
    return f"{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()
