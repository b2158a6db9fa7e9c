"""Running nodes as the service runs them, and asking them over REST."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from node_fsm.chain.fragments import Fragment
from node_fsm.core.errors import TemporaryError
from node_fsm.core.listen import Listen
from node_fsm.node.config import NodeConfig
from node_fsm.node.rest import NodeRest
from node_fsm.ports.answers import FragmentState, FragmentStatus, NodeStats
from tests.contract.binaries import Binaries
from tests.contract.chains import Chain
from tests.support.polling import HANGING

T = TypeVar("T")

POLL = 0.03
_ENVIRONMENT = {"PATH": os.environ["PATH"], "RUST_BACKTRACE": "0"}


async def finished(
    binaries: Binaries, *arguments: str | Path, stdin: bytes = b"", seconds: float = HANGING
) -> "Finished":
    """Run a node to its end; what it left."""
    process = await asyncio.create_subprocess_exec(
        binaries.jormungandr,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_ENVIRONMENT,
    )
    try:
        async with asyncio.timeout(seconds):
            stdout, stderr = await process.communicate(stdin)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return Finished(process.returncode, stdout.decode(), stderr.decode())


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a node."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Node:
    """One node on a chain, alone unless it has *peers*; *leader* is the index of its key, None for a follower.

    *p2p_port* is where it listens, *public_port* what it tells others, in case something lies in between.
    """

    binaries: Binaries
    chain: Chain
    directory: Path
    leader: int | None = 0
    peers: Sequence[str] = ()
    seed: bool = False
    p2p_port: int = field(default_factory=free_port)
    public_port: int | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    rest_port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def public_address(self) -> str:
        return f"/ip4/{LOOPBACK}/tcp/{self.public_port or self.p2p_port}"

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self.rest_port}/api"

    @property
    def fragments(self) -> Path:
        """The persistent log."""
        return self.directory / "fragments"

    @property
    def log(self) -> Path:
        """What it printed to its standard output, through restarts."""
        return self.directory / "stdout.log"

    def config(self) -> Path:
        """Write the configuration file, with *overrides* on its top level and in its p2p section."""
        self.directory.mkdir(exist_ok=True)
        written = NodeConfig(
            rest=Listen(LOOPBACK, self.rest_port),
            p2p=Listen(LOOPBACK, self.p2p_port),
            public_address=self.public_address,
            storage=self.directory / "storage",
            fragment_log=self.fragments,
            slot_duration=1,
            trusted_peers=tuple(self.peers),
            seed=self.seed,
        ).to_yaml()
        document = yaml.safe_load(written)
        document["p2p"] |= self.overrides.get("p2p", {})
        document |= {name: value for name, value in self.overrides.items() if name != "p2p"}
        file = self.directory / "config.yaml"
        file.write_text(yaml.safe_dump({name: value for name, value in document.items() if value is not None}))
        return file

    async def start(self, *arguments: str) -> "Node":
        """Start it with its block 0, or with *arguments* instead."""
        command: list[str | Path] = ["--config", self.config()]
        command += arguments or ["--genesis-block", self.chain.block0]
        secret = b""
        if self.leader is not None:
            command += ["--secret", "/dev/stdin"]
            secret = f"bft:\n  signing_key: {self.chain.leaders[self.leader].secret.reveal()}\n".encode()
        with self.log.open("ab") as stdout, (self.directory / "stderr.log").open("ab") as stderr:
            self.process = await asyncio.create_subprocess_exec(
                self.binaries.jormungandr,
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                env=_ENVIRONMENT,
            )
        assert self.process.stdin is not None
        self.process.stdin.write(secret)
        self.process.stdin.close()
        return self

    async def running(self, seconds: float = HANGING) -> NodeStats:
        """Wait until it runs; its statistics."""

        async def ask() -> NodeStats | None:
            assert self.process is not None
            assert self.process.returncode is None, (self.directory / "stderr.log").read_text()
            return await self.stats()

        return await until(ask, seconds)

    async def stats(self) -> NodeStats | None:
        """Its statistics; None while it does not run."""
        async with NodeRest(self.base_url) as api:
            try:
                return await api.stats()
            except TemporaryError:
                return None

    async def height(self, at_least: int, seconds: float = HANGING) -> NodeStats:
        """Wait for a block of that height; the statistics then."""

        async def ask() -> NodeStats | None:
            stats = await self.stats()
            return stats if stats and stats.height >= at_least else None

        return await until(ask, seconds)

    async def get(self, path: str, **request: Any) -> httpx.Response:
        return await self.request("GET", path, **request)

    async def request(self, method: str, path: str, **request: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.base_url, trust_env=False) as client:
            return await client.request(method, path, **request)

    async def post(self, *fragments: Fragment) -> dict[str, str | None]:
        """Post fragments in one batch: by id, why the mempool refused them, None for those that it took."""
        async with NodeRest(self.base_url) as api:
            return {posted.id: posted.reason for posted in await api.post_fragments([each.raw for each in fragments])}

    async def outcomes(self, *fragments: Fragment, seconds: float = HANGING) -> list[FragmentStatus]:
        """Wait until each fragment is in a block or rejected; what became of them, in order."""
        ids = [fragment.id for fragment in fragments]

        async def ask() -> list[FragmentStatus] | None:
            async with NodeRest(self.base_url) as api:
                statuses = await api.fragment_statuses(ids)
            decided = [statuses[id_] for id_ in ids if id_ in statuses]
            pending = [status for status in decided if status.state is FragmentState.PENDING]
            return decided if len(decided) == len(ids) and not pending else None

        return await until(ask, seconds)

    async def stop(self, number: int = signal.SIGTERM, seconds: float = HANGING) -> int:
        """End it with a signal; its exit code as a shell gives it."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(seconds):
            code = await self.process.wait()
        return code if code >= 0 else 128 - code

    async def kill(self) -> None:
        """SIGKILL, whatever state it is in."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


async def until(ask: Callable[[], Awaitable[T | None]], seconds: float = HANGING) -> T:
    """What *ask* gives as soon as it is not None; AssertionError when it does not within *seconds*."""
    try:
        async with asyncio.timeout(seconds):
            while (found := await ask()) is None:
                await asyncio.sleep(POLL)
            return found
    except TimeoutError as error:
        raise AssertionError(f"not within {seconds:g} s") from error
