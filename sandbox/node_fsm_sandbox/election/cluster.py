"""Several services on this machine, each with its node: started together and stopped together."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from node_fsm.node.rest import NodeRest
from node_fsm_sandbox.election.concurrency import together
from node_fsm_sandbox.election.outside import Outside
from node_fsm_sandbox.election.part import Part, rest_url, settings_of
from node_fsm_sandbox.election.service_process import ServiceProcess


class Member:
    """A node of the cluster: what it is in it, its service's process, and a client of the node itself."""

    def __init__(self, part: Part, service: ServiceProcess) -> None:
        self.part = part
        self.service = service
        self.node = NodeRest(rest_url(service.settings))

    @property
    def hostname(self) -> str:
        """Its name in jorm_nodes."""
        return self.part.hostname

    @property
    def storage(self) -> Path:
        """The service's storage directory."""
        return Path(self.service.settings["NODE_FSM_STORAGE_DIR"])

    async def close(self) -> None:
        """Leave no process and no connection."""
        await self.service.close()
        await self.node.close()


class Cluster:
    """The members, and what all of them have in common.

    Logs and storage go to subdirectories of *directory*, temporary files of the services to *temporary*. *settings*
    are for all services, the two binaries and the template of block 0 among them.
    """

    def __init__(self, outside: Outside, directory: Path, temporary: Path, settings: Mapping[str, str]) -> None:
        self.outside = outside
        self.members: list[Member] = []
        self.settings = {
            "NODE_FSM_DATABASE_URL": outside.database_url,
            "NODE_FSM_S3_ENDPOINT_URL": outside.s3_url,
        } | dict(settings)
        """Those of every service and command."""
        self._logs, self._storage, self._temporary = directory / "logs", directory / "storage", temporary

    async def add(self, *parts: Part) -> Sequence[Member]:
        """New members, known to the database and not started yet."""
        for path in (self._logs, self._storage):
            path.mkdir(exist_ok=True)
        await self.outside.register(parts)
        members = []
        for part in parts:
            settings = self.settings | settings_of(part, self.outside.bucket, self._storage / part.hostname)
            log = self._logs / f"{part.hostname}.log"
            members.append(Member(part, ServiceProcess(part.hostname, settings, log, self._temporary)))
        self.members += members
        return members

    async def start(self) -> None:
        """Start all services; they are not ready yet on return."""
        await together(*(member.service.start() for member in self.members))

    async def stop(self) -> list[str]:
        """Stop all services in order; what was wrong with that."""
        codes = await together(*(member.service.stop() for member in self.members))
        return [
            f"the service of {member.hostname} ended with code {code} when it was asked to stop"
            for member, code in zip(self.members, codes, strict=True)
            if code
        ]

    async def close(self) -> None:
        """Leave no process and no connection."""
        await self.stop()
        for member in self.members:
            await member.close()


@asynccontextmanager
async def closing(cluster: Cluster) -> AsyncIterator[Cluster]:
    """The cluster, of which nothing is left afterwards."""
    try:
        yield cluster
    finally:
        await cluster.close()
