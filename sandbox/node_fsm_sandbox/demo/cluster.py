"""Three services, each its own process, started together and stopped together."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from node_fsm_sandbox.demo.binaries import Binaries
from node_fsm_sandbox.demo.concurrency import together
from node_fsm_sandbox.demo.directories import Directories
from node_fsm_sandbox.demo.files import write_template
from node_fsm_sandbox.demo.isolation import service_environment
from node_fsm_sandbox.demo.member import Member, Part, settings_of
from node_fsm_sandbox.demo.servers import Servers
from node_fsm_sandbox.demo.service_process import ServiceProcess


class Cluster:
    """The nodes of the demo."""

    def __init__(self, parts: Sequence[Part], servers: Servers, binaries: Binaries, places: Directories) -> None:
        self.template = places.work / "block0_template.yaml"
        write_template(self.template)
        common = {
            "NODE_FSM_DATABASE_URL": servers.database_url,
            "NODE_FSM_S3_ENDPOINT_URL": servers.s3_url,
            "NODE_FSM_BLOCK0_TEMPLATE": str(self.template),
            "NODE_FSM_JCLI_PATH": str(binaries.jcli),
            "NODE_FSM_JORM_PATH": str(binaries.jormungandr),
        }
        logs, storage = places.work / "logs", places.work / "storage"
        for path in (logs, storage):
            path.mkdir()
        self.members: list[Member] = []
        for part in parts:
            settings = settings_of(part, common, storage / part.hostname)
            environment = service_environment(os.environ, places.temporary, settings)
            service = ServiceProcess(part.hostname, environment, logs / f"{part.hostname}.log")
            self.members.append(Member(part, service, settings))

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
async def running_cluster(
    parts: Sequence[Part], servers: Servers, binaries: Binaries, places: Directories
) -> AsyncIterator[Cluster]:
    """The services, started; none is left afterwards."""
    cluster = Cluster(parts, servers, binaries, places)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.close()
